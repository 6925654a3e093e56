// The small grammar that request and response header fields share (RFC 9110 section 5.6). Pure
// functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace gunid {

bool IsTokenChar(char c);
bool EqualsIgnoreCase(std::string_view a, std::string_view b);  // ASCII
std::string_view TrimWhitespace(std::string_view text);         // spaces and tabs at both ends

// Whether a comma-separated list has that item (case-insensitive).
bool ListContains(std::string_view list, std::string_view item);

int HexDigit(char c);  // its value, or -1
// Digits only, and no overflow.
std::optional<std::uint64_t> ParseContentLength(std::string_view value);

// These rewrite field lines in place, for a parser that is stricter. Each line ends in CRLF; the
// last may lack its end.
// The line ends in folded values become spaces, and so does the whitespace around them. A fold that
// comes before the colon stays.
void Unfold(std::span<char> lines);
// Whitespace before the colon goes behind it.
void CloseUpNames(std::span<char> lines);
// Tabs at the end of a value become spaces.
void BlankTrailingTabs(std::span<char> lines);

}  // namespace gunid
