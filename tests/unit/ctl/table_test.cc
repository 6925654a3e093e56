#include "ctl/table.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

const std::vector<ColumnHead> kHeads = {
    {"N", CellStyle::kNumber}, {"STATE", CellStyle::kState}, {"TEXT", CellStyle::kText}};

TEST(FormatTable, AlignsByCharactersAndEndsNoLineWithSpaces) {
  EXPECT_EQ(
      FormatTable(kHeads, {{"1", "ready", "a"}, {"23", "gr\xc3\xbc\xc3\x9f", "longer"}}, false),
      " N  STATE  TEXT\n"
      " 1  ready  a\n"
      "23  gr\xc3\xbc\xc3\x9f   longer\n");
}

TEST(FormatTable, ColoursStatesOnly) {
  EXPECT_EQ(FormatTable(kHeads, {{"1", "running", "ready"}, {"2", "cancelled", "x"}}, true),
            "N  STATE      TEXT\n"
            "1  \x1b[32mrunning\x1b[0m    ready\n"
            "2  \x1b[33mcancelled\x1b[0m  x\n");
}

TEST(FormatTable, WithoutRowsIsAHeading) {
  EXPECT_EQ(FormatTable(kHeads, {}, true), "N  STATE  TEXT\n");
}

TEST(Table, HasARowPerItem) {
  constexpr std::array kColumns = {
      Column<int>{"N", CellStyle::kNumber, [](const int& n) { return std::to_string(n); }},
      Column<int>{"TWICE", CellStyle::kText, [](const int& n) { return std::to_string(2 * n); }}};
  EXPECT_EQ(Table(kColumns, std::vector<int>{7, 70}, false),
            " N  TWICE\n"
            " 7  14\n"
            "70  140\n");
}

TEST(Block, AlignsTheValues) {
  EXPECT_EQ(Block({{"a", "1"}, {"long", "2"}}), "a     1\nlong  2\n");
  EXPECT_EQ(Block({}), "");
}

TEST(PadRight, CutsNothing) {
  EXPECT_EQ(PadRight("\xc3\xbc", 3), "\xc3\xbc  ");
  EXPECT_EQ(PadRight("long", 3), "long");
}

}  // namespace
}  // namespace gunid
