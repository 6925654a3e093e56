#include "supervisor/memory_watch.h"

#include <gtest/gtest.h>

#include <vector>

namespace gunid {
namespace {

using V = MemoryWatch::Verdict;

constexpr std::uint64_t kLimit = 1000;

TEST(MemoryWatch, SamplesAndVerdicts) {
  struct Row {
    const char* what;
    std::vector<std::uint64_t> samples;
    std::vector<V> verdicts;
  };
  for (const Row& row : std::vector<Row>{
           {"below",
            {0, 999, 1000, 1000, 1000},
            {V::kNothing, V::kNothing, V::kNothing, V::kNothing, V::kNothing}},
           {"over three times in a row",
            {1001, 1250, 1001},
            {V::kNothing, V::kNothing, V::kRecycle}},
           {"over, but not in a row",
            {1100, 1100, 900, 1100, 1100},
            {V::kNothing, V::kNothing, V::kNothing, V::kNothing, V::kNothing}},
           {"each verdict once",
            {1100, 1100, 1100, 1100, 1300, 1400},
            {V::kNothing, V::kNothing, V::kRecycle, V::kNothing, V::kExpel, V::kNothing}},
           {"far over at once", {1251}, {V::kExpel}},
           {"no recycling of what has been expelled",
            {1300, 1100, 1100, 1100},
            {V::kExpel, V::kNothing, V::kNothing, V::kNothing}},
       }) {
    MemoryWatch watch;
    std::vector<V> verdicts;
    for (const std::uint64_t bytes : row.samples)
      verdicts.push_back(watch.Sampled(1, bytes, kLimit));
    EXPECT_EQ(verdicts, row.verdicts) << row.what;
  }
}

TEST(MemoryWatch, WorkersAreCountedApart) {
  MemoryWatch watch;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(watch.Sampled(1, 1100, kLimit), V::kNothing);
    EXPECT_EQ(watch.Sampled(2, 1100, kLimit), V::kNothing);
  }
  watch.Forget(2);
  EXPECT_EQ(watch.Sampled(2, 1100, kLimit), V::kNothing);
  EXPECT_EQ(watch.Sampled(1, 1100, kLimit), V::kRecycle);
}

}  // namespace
}  // namespace gunid
