#include "ctl/escape.h"

#include <cstdio>

namespace gunid {

namespace {

std::string Escape(std::string_view text, std::string_view kept) {
  std::string escaped;
  const auto hex = [&escaped](unsigned char byte) {
    char code[5];
    std::snprintf(code, sizeof code, "\\x%02x", byte);
    escaped += code;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (kept.find(text[i]) != std::string_view::npos) {
      escaped += text[i];
    } else if (byte < 0x20 || byte == 0x7f) {
      hex(byte);
    } else if (byte == 0xc2 && next >= 0x80 &&
               next < 0xa0) {  // U+0080..U+009F: 8-bit control characters
      hex(byte);
      hex(next);
      ++i;
    } else {
      escaped += text[i];
    }
  }
  return escaped;
}

}  // namespace

std::string EscapeControl(std::string_view text) {
  return Escape(text, "");
}

std::string EscapeControlLines(std::string_view text) {
  return Escape(text, "\n\t");
}

}  // namespace gunid
