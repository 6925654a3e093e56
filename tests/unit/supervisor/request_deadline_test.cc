#include "supervisor/request_deadline.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
const TimePoint kNow{std::chrono::seconds(100)};

TEST(RequestDeadline, FindsTheOldestThatIsOverIt) {
  const auto overdue = FindOverdue({{95 * kSecond, "GET /b"}, {80 * kSecond, "GET /a"}}, kNow, 10);
  ASSERT_TRUE(overdue.has_value());
  EXPECT_EQ(overdue->text, "GET /a");
  EXPECT_DOUBLE_EQ(overdue->age_s, 20);
}

TEST(RequestDeadline, LeavesRequestsAloneThatAreInTime) {
  EXPECT_FALSE(FindOverdue({{90 * kSecond, "GET /"}}, kNow, 10).has_value());
  EXPECT_FALSE(FindOverdue({}, kNow, 10).has_value());
}

TEST(RequestDeadline, ZeroMeansNoLimit) {
  EXPECT_FALSE(FindOverdue({{1, "GET /"}}, kNow, 0).has_value());
}

}  // namespace
}  // namespace gunid
