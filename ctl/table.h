// Aligned text: a table with a heading, and a block of keys with values. Pure.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace gunid {

enum class CellStyle {
  kNumber,  // to the right
  kText,    // to the left
  kState,   // to the left, coloured by what it says
};

struct ColumnHead {
  std::string_view title;
  CellStyle style;
};

// Each row has a cell for each head. Cells are safe to print.
std::string FormatTable(const std::vector<ColumnHead>& heads,
                        const std::vector<std::vector<std::string>>& rows, bool colour);

// How the cell of a column is made of an item.
template <class Item>
struct Column {
  std::string_view title;
  CellStyle style;
  std::string (*cell)(const Item&);
};

// A row per item.
template <class Item, std::size_t kColumns>
std::string Table(const std::array<Column<Item>, kColumns>& columns, const std::vector<Item>& items,
                  bool colour) {
  std::vector<ColumnHead> heads;
  heads.reserve(kColumns);
  for (const Column<Item>& column : columns) heads.push_back({column.title, column.style});
  std::vector<std::vector<std::string>> rows;
  rows.reserve(items.size());
  for (const Item& item : items) {
    std::vector<std::string>& row = rows.emplace_back();
    for (const Column<Item>& column : columns) row.push_back(column.cell(item));
  }
  return FormatTable(heads, rows, colour);
}

struct KeyValue {
  std::string key;
  std::string value;  // may hold colour; nothing is aligned behind it
};
std::string Block(const std::vector<KeyValue>& rows);

// `text` in the colour of a state, if there is to be colour.
std::string Coloured(std::string text, std::string_view state, bool colour);

// `text` with spaces behind it up to `width` characters (not bytes).
std::string PadRight(std::string text, std::size_t width);

}  // namespace gunid
