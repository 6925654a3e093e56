#include "http/http_date.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

TEST(HttpDate, Formats) {
  EXPECT_EQ(FormatHttpDate(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(FormatHttpDate(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(FormatHttpDate(1709251199), "Thu, 29 Feb 2024 23:59:59 GMT");
}

TEST(HttpDate, CurrentIsNow) {
  // The second may change between the calls.
  const std::time_t before = std::time(nullptr);
  const std::string current(CurrentHttpDate());
  const std::time_t after = std::time(nullptr);
  bool found = false;
  for (std::time_t second = before; second <= after; ++second) {
    found |= current == FormatHttpDate(second);
  }
  EXPECT_TRUE(found) << current;
}

}  // namespace
}  // namespace gunid
