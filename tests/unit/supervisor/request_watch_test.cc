#include "supervisor/request_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gunid {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr auto kSlow = RequestStepKind::kReportSlow;
constexpr auto kOverdue = RequestStepKind::kReportOverdue;
constexpr auto kGiveUp = RequestStepKind::kGiveUp;

constexpr TimePoint kStart{seconds(1000)};

// Of worker 1, started at kStart.
WatchedRequest Request(std::uint64_t serial, int worker = 1) {
  return {{worker, serial},
          {.start_ns = static_cast<std::uint64_t>(kStart.time_since_epoch().count()),
           .serial = serial}};
}

class RequestWatchTest : public testing::Test {
 protected:
  // The kinds of the steps, with the serials.
  std::vector<std::pair<RequestStepKind, std::uint64_t>> Look(
      Nanoseconds after, const std::vector<WatchedRequest>& requests = {Request(1)}) {
    std::vector<std::pair<RequestStepKind, std::uint64_t>> steps;
    for (const RequestStep& step : watch.Look(requests, thresholds, kStart + after)) {
      steps.emplace_back(step.kind, step.id.serial);
    }
    return steps;
  }

  RequestThresholds thresholds{.slow_s = 2, .timeout_s = 10};
  RequestWatch watch;
};

// What becomes of one request that is cancelled as soon as it is reported to be overdue.
struct Row {
  RequestThresholds thresholds;
  std::vector<std::pair<int, RequestStepKind>> steps;  // milliseconds after the start
};

TEST(RequestWatch, ARequestClimbsTheLadderStepByStep) {
  const std::vector<Row> table = {
      {{.slow_s = 2, .timeout_s = 10}, {{2500, kSlow}, {10500, kOverdue}, {13500, kGiveUp}}},
      {{.slow_s = 0, .timeout_s = 10}, {{10500, kOverdue}, {13500, kGiveUp}}},
      {{.slow_s = 2, .timeout_s = 0}, {{2500, kSlow}}},
      {{.slow_s = 0, .timeout_s = 0}, {}},
      {{.slow_s = 0.25, .timeout_s = 0.75}, {{500, kSlow}, {1000, kOverdue}, {4000, kGiveUp}}},
      // With the deadline there is nothing more to say about slowness.
      {{.slow_s = 10, .timeout_s = 10}, {{10500, kOverdue}, {13500, kGiveUp}}},
      {{.slow_s = 11, .timeout_s = 10}, {{10500, kOverdue}, {13500, kGiveUp}}},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(testing::Message() << row.thresholds.slow_s << ' ' << row.thresholds.timeout_s);
    RequestWatch watch;
    std::vector<std::pair<int, RequestStepKind>> steps;
    for (int at = 0; at < 30000; at += 500) {
      const TimePoint now = kStart + milliseconds(at);
      for (const RequestStep& step : watch.Look({Request(1)}, row.thresholds, now)) {
        steps.emplace_back(at, step.kind);
        EXPECT_DOUBLE_EQ(step.age_s, at / 1000.0);
        if (step.kind == kOverdue) watch.Cancel(step.id, now);
      }
    }
    EXPECT_EQ(steps, row.steps);
  }
}

TEST_F(RequestWatchTest, NothingHappensBeforeAThresholdIsPassed) {
  EXPECT_THAT(Look(seconds(2)), IsEmpty());
  EXPECT_TRUE(watch.empty());
  EXPECT_THAT(Look(seconds(2) + Nanoseconds(1)), ElementsAre(Pair(kSlow, 1)));
  EXPECT_THAT(Look(seconds(10)), IsEmpty());
  EXPECT_THAT(Look(seconds(10) + Nanoseconds(1)), ElementsAre(Pair(kOverdue, 1)));
}

TEST_F(RequestWatchTest, GraceCountsFromTheCancellation) {
  EXPECT_THAT(Look(seconds(11)), ElementsAre(Pair(kOverdue, 1)));
  EXPECT_THAT(Look(seconds(20)), IsEmpty()) << "its report takes its time";
  EXPECT_EQ(watch.StateOf({1, 1}), RequestState::kRunning);
  EXPECT_TRUE(watch.Cancel({1, 1}, kStart + seconds(21)));
  EXPECT_EQ(watch.StateOf({1, 1}), RequestState::kCancelled);
  EXPECT_THAT(Look(seconds(21) + kUnwindGrace - Nanoseconds(1)), IsEmpty());
  EXPECT_THAT(Look(seconds(21) + kUnwindGrace), ElementsAre(Pair(kGiveUp, 1)));
  EXPECT_EQ(watch.StateOf({1, 1}), RequestState::kAbandoned);
  EXPECT_THAT(Look(seconds(60)), IsEmpty());
  EXPECT_FALSE(watch.Cancel({1, 1}, kStart + seconds(60))) << "it does not begin anew";
  EXPECT_EQ(watch.StateOf({1, 1}), RequestState::kAbandoned);
}

TEST_F(RequestWatchTest, AnOperatorsCancelEntersTheLadderWithoutAThreshold) {
  thresholds = {};
  EXPECT_TRUE(watch.Cancel({1, 1}, kStart));
  EXPECT_FALSE(watch.Cancel({1, 1}, kStart + seconds(2))) << "the first counts";
  EXPECT_TRUE(watch.known(1));
  EXPECT_FALSE(watch.known(2));
  EXPECT_THAT(Look(seconds(2)), IsEmpty());
  EXPECT_THAT(Look(seconds(3)), ElementsAre(Pair(kGiveUp, 1)));
}

TEST_F(RequestWatchTest, WhatIsCancelledIsNeitherSlowNorOverdue) {
  watch.Cancel({1, 1}, kStart + seconds(9));
  EXPECT_THAT(Look(seconds(11)), IsEmpty());
  EXPECT_THAT(Look(seconds(12)), ElementsAre(Pair(kGiveUp, 1)));
}

TEST_F(RequestWatchTest, WhatIsNotSeenAnyMoreIsForgotten) {
  EXPECT_THAT(Look(seconds(3)), ElementsAre(Pair(kSlow, 1)));
  watch.Cancel({1, 1}, kStart + seconds(3));
  EXPECT_THAT(Look(seconds(4), {}), IsEmpty());
  EXPECT_TRUE(watch.empty());
  EXPECT_EQ(watch.StateOf({1, 1}), RequestState::kRunning);
  EXPECT_THAT(Look(seconds(9), {}), IsEmpty());
}

TEST_F(RequestWatchTest, EachRequestClimbsOnItsOwn) {
  const std::vector<WatchedRequest> three = {Request(7), Request(3), Request(3, 2)};
  EXPECT_EQ(watch.Look(three, thresholds, kStart + seconds(11)).size(), 3U);
  watch.Cancel({2, 3}, kStart + seconds(11));
  const auto steps = watch.Look(three, thresholds, kStart + seconds(14));
  ASSERT_EQ(steps.size(), 1U);
  EXPECT_EQ(steps[0].id, (RequestId{2, 3}));
}

TEST_F(RequestWatchTest, ThresholdsMayChange) {
  thresholds = {};
  EXPECT_THAT(Look(seconds(50)), IsEmpty());
  thresholds = {.timeout_s = 10};
  EXPECT_THAT(Look(seconds(50)), ElementsAre(Pair(kOverdue, 1)));
  thresholds = {.timeout_s = 20};
  EXPECT_THAT(Look(seconds(50)), IsEmpty());
}

TEST_F(RequestWatchTest, ARequestOfTheFutureIsYoung) {
  EXPECT_THAT(Look(-seconds(5)), IsEmpty());
}

TEST(LookBefore, IsWhenTheOldestHarmlessRequestStarted) {
  const auto second = [](int number) { return number * std::uint64_t{1'000'000'000}; };
  EXPECT_EQ(LookBefore({.slow_s = 2, .timeout_s = 10}, kStart), second(998));
  EXPECT_EQ(LookBefore({.slow_s = 0, .timeout_s = 10}, kStart), second(990));
  EXPECT_EQ(LookBefore({.slow_s = 2, .timeout_s = 0}, kStart), second(998));
  EXPECT_EQ(LookBefore({}, kStart), 0U);
  EXPECT_EQ(LookBefore({.slow_s = 0, .timeout_s = 31'536'000}, kStart), 0U) << "up for less";
}

TEST(LookInterval, IsATenthOfTheSmallestThresholdWithinBounds) {
  EXPECT_EQ(LookInterval({}, false), milliseconds(500));
  EXPECT_EQ(LookInterval({.timeout_s = 30}, false), milliseconds(500));
  EXPECT_EQ(LookInterval({.timeout_s = 1}, false), milliseconds(100));
  EXPECT_EQ(LookInterval({.slow_s = 2, .timeout_s = 30}, false), milliseconds(200));
  EXPECT_EQ(LookInterval({.slow_s = 0.1, .timeout_s = 30}, false), milliseconds(50));
  EXPECT_EQ(LookInterval({}, true), milliseconds(50));
}

TEST(RequestState, EachHasAName) {
  EXPECT_EQ(RequestStateName(RequestState::kRunning), "running");
  EXPECT_EQ(RequestStateName(RequestState::kCancelled), "cancelled");
  EXPECT_EQ(RequestStateName(RequestState::kAbandoned), "abandoned");
}

}  // namespace
}  // namespace gunid
