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
            {V::kNothing, V::kNothing, V::kRecycle, V::kNothing, V::kNothing, V::kExpel}},
           {"far over", {1251, 1251}, {V::kNothing, V::kExpel}},
           {"far over for a moment", {1251, 900, 1251}, {V::kNothing, V::kNothing, V::kNothing}},
           {"far over until it is gone", {1300, 1300, 1300}, {V::kNothing, V::kExpel, V::kExpel}},
       }) {
    MemoryWatch watch;
    std::vector<V> verdicts;
    for (const std::uint64_t bytes : row.samples)
      verdicts.push_back(watch.Sampled(1, bytes, kLimit, false));
    EXPECT_EQ(verdicts, row.verdicts) << row.what;
  }
}

TEST(MemoryWatch, WhatBeginsOverTheLimitIsTold) {
  MemoryWatch watch;
  EXPECT_EQ(watch.Sampled(1, 1400, kLimit, true), V::kTooLow);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(watch.Sampled(1, 1500, kLimit, true), V::kNothing);
  // It may grow to twice of that.
  for (int i = 0; i < 5; ++i) EXPECT_EQ(watch.Sampled(1, 3000, kLimit, false), V::kNothing);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(watch.Sampled(1, 3001, kLimit, false), V::kNothing);
  EXPECT_EQ(watch.Sampled(1, 3001, kLimit, false), V::kRecycle);
  EXPECT_EQ(watch.Sampled(1, 4000, kLimit, false), V::kNothing);
  EXPECT_EQ(watch.Sampled(1, 4000, kLimit, false), V::kExpel);
}

TEST(MemoryWatch, WorkersAreCountedApart) {
  MemoryWatch watch;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(watch.Sampled(1, 1100, kLimit, false), V::kNothing);
    EXPECT_EQ(watch.Sampled(2, 1100, kLimit, false), V::kNothing);
  }
  watch.Forget(2);
  EXPECT_EQ(watch.Sampled(2, 1100, kLimit, false), V::kNothing);
  EXPECT_EQ(watch.Sampled(1, 1100, kLimit, false), V::kRecycle);
}

}  // namespace
}  // namespace gunid
