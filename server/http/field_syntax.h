// The small grammar that request and response header fields share (RFC 9110 section 5.6). Pure
// functions; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace gunid {

inline constexpr std::array<bool, 256> kTokenChars = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = table[c + ('a' - 'A')] = true;
  for (const unsigned char c : std::string_view("!#$%&'*+-.^_`|~")) table[c] = true;
  return table;
}();

inline bool IsTokenChar(char c) {
  return kTokenChars[static_cast<unsigned char>(c)];
}

inline char ToLower(char c) {  // ASCII
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

// ASCII. Inline: nearly all that are compared differ in length or in their first character.
inline bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && ToLower(a[i]) != ToLower(b[i])) return false;
  }
  return true;
}

inline bool IsBlank(char c) {
  return c == ' ' || c == '\t';
}

inline std::string_view TrimWhitespace(std::string_view text) {  // blanks at both ends
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

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
