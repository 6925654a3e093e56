#include "ctl/units.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

TEST(Duration, HasTwoUnitsAtMost) {
  const struct {
    double seconds;
    const char* text;
  } cases[] = {{-1, "0ms"},
               {0, "0ms"},
               {0.0204, "20ms"},
               {0.9994, "999ms"},
               {0.9996, "1.0s"},
               {59.94, "59.9s"},
               {60, "1m00s"},
               {3599, "59m59s"},
               {3600, "1h00m"},
               {86399, "23h59m"},
               {86400, "1d00h"},
               {200000, "2d07h"},
               {1e300, "11574074d01h"}};
  for (const auto& test : cases) EXPECT_EQ(Duration(test.seconds), test.text) << test.seconds;
}

TEST(Bytes, AreInBinaryUnits) {
  const struct {
    std::uint64_t bytes;
    const char* text;
  } cases[] = {{0, "0B"},
               {1023, "1023B"},
               {1024, "1.0KiB"},
               {53 * 1024 * 1024, "53.0MiB"},
               {5ULL << 40, "5.0TiB"},
               {5ULL << 60, "5242880.0TiB"}};
  for (const auto& test : cases) EXPECT_EQ(Bytes(test.bytes), test.text);
}

}  // namespace
}  // namespace gunid
