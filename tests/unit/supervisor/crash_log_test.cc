#include "supervisor/crash_log.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

TEST(CrashLog, KeepsTheLastOnesTheNewestFirst) {
  CrashLog log;
  EXPECT_TRUE(log.Report().crashes.empty());
  const int most = static_cast<int>(CrashLog::kMost);
  for (int worker = 1; worker <= most + 3; ++worker) log.Add({.worker = worker});
  const auto crashes = log.Report().crashes;
  ASSERT_EQ(crashes.size(), CrashLog::kMost);
  EXPECT_EQ(crashes.front().worker, most + 3);
  EXPECT_EQ(crashes.back().worker, 4);
  EXPECT_EQ(crashes.front().time.size(), std::string("2026-01-31T08:05:00.123Z").size());
}

}  // namespace
}  // namespace gunid
