#include "http/field_syntax.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace gunid {
namespace {

// The CRLF that ends in `lf` and all whitespace next to it become spaces.
void BlankLineEnd(std::span<char> lines, std::size_t lf) {
  lines[lf - 1] = lines[lf] = ' ';
  for (std::size_t i = lf + 1; i < lines.size() && IsBlank(lines[i]); ++i) lines[i] = ' ';
  for (std::size_t i = lf - 1; i > 0 && IsBlank(lines[i - 1]); --i) lines[i - 1] = ' ';
}

// `line` is one line, or starts with it.
void CloseUpName(std::span<char> line) {
  const std::string_view text(line.data(), line.size());
  const std::size_t colon = text.find_first_of(":\n");
  if (colon == std::string_view::npos || text[colon] == '\n') return;
  const std::size_t last = text.substr(0, colon).find_last_not_of(" \t");
  if (last == std::string_view::npos || last + 1 == colon) return;
  line[last + 1] = ':';
  std::fill(line.begin() + last + 2, line.begin() + colon + 1, ' ');
}

}  // namespace

bool ListContains(std::string_view list, std::string_view item) {
  while (true) {
    const std::size_t comma = list.find(',');
    if (EqualsIgnoreCase(TrimWhitespace(list.substr(0, comma)), item)) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::uint64_t> ParseContentLength(std::string_view value) {
  std::uint64_t length = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, length);
  if (error != std::errc() || stop != end) return std::nullopt;
  return length;
}

void Unfold(std::span<char> lines) {
  const std::string_view text(lines.data(), lines.size());
  std::size_t field = 0;
  for (std::size_t lf = text.find('\n'); lf < text.size(); lf = text.find('\n', lf + 1)) {
    const bool folded = lf + 1 < text.size() && IsBlank(text[lf + 1]);
    if (!folded) {
      field = lf + 1;
    } else if (text.substr(field, lf - field).find(':') != std::string_view::npos) {
      BlankLineEnd(lines, lf);
    }
  }
}

void CloseUpNames(std::span<char> lines) {
  const std::string_view text(lines.data(), lines.size());
  for (std::size_t start = 0; start < text.size();) {
    CloseUpName(lines.subspan(start));
    const std::size_t lf = text.find('\n', start);
    start = lf == std::string_view::npos ? text.size() : lf + 1;
  }
}

void BlankTrailingTabs(std::span<char> lines) {
  const std::string_view text(lines.data(), lines.size());
  for (std::size_t tab = text.find('\t'); tab < text.size();) {
    const std::size_t end = std::min(text.find_first_not_of(" \t", tab), text.size());
    if (text.substr(end, 1) == "\r") std::fill(lines.begin() + tab, lines.begin() + end, ' ');
    tab = text.find('\t', end);
  }
}

}  // namespace gunid
