#include "ctl/table.h"

#include <algorithm>
#include <utility>

namespace gunid {

namespace {

constexpr std::string_view kColumnGap = "  ";

// Characters, not bytes: UTF-8 continuation bytes take no place.
std::size_t Width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string Padding(std::string_view text, std::size_t width) {
  return std::string(width - std::min(width, Width(text)), ' ');
}

std::vector<std::size_t> Widths(const std::vector<std::vector<std::string>>& lines) {
  std::vector<std::size_t> widths(lines.front().size());
  for (const auto& line : lines) {
    for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], Width(line[c]));
  }
  return widths;
}

}  // namespace

std::string Coloured(std::string text, std::string_view state, bool colour) {
  if (!colour) return text;
  const char* code = "33";  // yellow: on its way
  if (state == "ready" || state == "serving" || state == "running") code = "32";
  if (state == "killing" || state == "abandoned") code = "31";
  return "\x1b[" + std::string(code) + "m" + std::move(text) + "\x1b[0m";
}

std::string PadRight(std::string text, std::size_t width) {
  text += Padding(text, width);
  return text;
}

std::string FormatTable(const std::vector<ColumnHead>& heads,
                        const std::vector<std::vector<std::string>>& rows, bool colour) {
  std::vector<std::vector<std::string>> lines(1);
  for (const ColumnHead& head : heads) lines.front().emplace_back(head.title);
  lines.insert(lines.end(), rows.begin(), rows.end());
  const std::vector<std::size_t> widths = Widths(lines);

  std::string text;
  for (std::size_t l = 0; l < lines.size(); ++l) {
    for (std::size_t c = 0; c < heads.size(); ++c) {
      const std::string& cell = lines[l][c];
      const std::string padding = Padding(cell, widths[c]);
      const CellStyle style = heads[c].style;
      if (c > 0) text += kColumnGap;
      if (style == CellStyle::kNumber) text += padding;
      text += Coloured(cell, cell, colour && l > 0 && style == CellStyle::kState);
      if (style != CellStyle::kNumber && c + 1 < heads.size()) text += padding;
    }
    text += '\n';
  }
  return text;
}

std::string Block(const std::vector<KeyValue>& rows) {
  std::size_t width = 0;
  for (const KeyValue& row : rows) width = std::max(width, row.key.size());
  std::string text;
  for (const KeyValue& row : rows) {
    text += PadRight(row.key, width) + std::string(kColumnGap) + row.value + "\n";
  }
  return text;
}

}  // namespace gunid
