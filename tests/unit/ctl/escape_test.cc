#include "ctl/escape.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

TEST(EscapeControl, KeepsTextAndShowsControlBytes) {
  const struct {
    std::string text;
    std::string escaped;
  } cases[] = {
      {"plain", "plain"},
      {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
      {"a\nb\tc", "a\\x0ab\\x09c"},
      {std::string("\0\x7f", 2), "\\x00\\x7f"},
      {"\xc2\x9b"
       "31m",
       "\\xc2\\x9b31m"},
      {"\xc2\xa0", "\xc2\xa0"},
      {"\xc2", "\xc2"},
  };
  for (const auto& test : cases) EXPECT_EQ(EscapeControl(test.text), test.escaped);
  EXPECT_EQ(EscapeControlLines("a\nb\tc\r"), "a\nb\tc\\x0d");
}

}  // namespace
}  // namespace gunid
