#include "engine/leadership.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace gunid {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(Leadership, ALeaderThatComesBackInTimeLeadsOn) {
  Leadership leadership(hours(1));
  std::atomic<bool> led = false;
  std::thread other([&] { led = leadership.StandBy(); });
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(leadership.Return(leadership.Leave()));
  leadership.End();
  other.join();
  EXPECT_FALSE(led);
}

TEST(Leadership, TheWatchTakesOverFromALeaderThatStaysAway) {
  Leadership leadership(microseconds(100));
  std::atomic<bool> led = false;
  std::thread other([&] {
    led = leadership.StandBy();
    leadership.End();
  });
  const Leadership::Departure departure = leadership.Leave();
  other.join();
  EXPECT_TRUE(led);
  EXPECT_FALSE(leadership.Return(departure));
  EXPECT_FALSE(leadership.StandBy()) << "it was ended";
}

TEST(Leadership, AnOldDepartureDoesNotTakeALaterLeadersPlace) {
  Leadership leadership(microseconds(100));
  const Leadership::Departure first = leadership.Leave();
  std::thread second([&] {
    ASSERT_TRUE(leadership.StandBy());
    // Away as well: the first must not be taken for this one.
    const Leadership::Departure departure = leadership.Leave();
    EXPECT_FALSE(leadership.Return(first));
    EXPECT_TRUE(leadership.Return(departure));
  });
  second.join();
}

TEST(NextPatience, GrowsWhileTheLeaderComputesInShortCalls) {
  const struct {
    const char* what;
    int base, patience, calls, computed;  // in microseconds
    int next;
  } cases[] = {
      {"very short calls", 500, 500, 50, 490, 1000},
      {"the same later", 500, 1000, 100, 980, 2000},
      {"at the most", 500, 2000, 200, 1900, 2000},
      {"calls of the base", 500, 2000, 4, 1900, 2000},
      {"calls longer than the base", 500, 2000, 3, 1900, 500},
      {"calls of a millisecond, none of which was found twice", 500, 2000, 2, 2000, 500},
      {"short calls that wait", 500, 2000, 20, 1000, 500},
      {"some that wait among short ones", 500, 1000, 20, 700, 500},
      {"one call after another, the first look", 500, 500, 1, 500, 1000},
      {"one call only", 500, 500, 0, 500, 500},
      {"a base above the most", 10'000, 10'000, 1000, 10'000, 10'000},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(NextPatience(microseconds(test.base), microseconds(test.patience), test.calls,
                           microseconds(test.computed)),
              microseconds(test.next))
        << test.what;
  }
}

TEST(Leadership, AfterLongCallsTheWatchDoesNotWait) {
  Leadership leadership(milliseconds(20));
  std::atomic<int> changes = 0;
  std::vector<std::thread> threads;
  std::atomic<TimePoint> left{};
  std::atomic<std::int64_t> shortest{hours(1) / std::chrono::nanoseconds(1)};
  const auto serve = [&](bool leads) {
    while (leads || leadership.StandBy()) {
      if (!leads) {
        shortest = std::min(shortest.load(), (Clock().Now() - left.load()).count());
        ++changes;
      }
      if (changes >= 12) {
        leadership.End();
        return;
      }
      left = Clock().Now();
      const Leadership::Departure departure = leadership.Leave();
      std::this_thread::sleep_for(milliseconds(25));
      leads = leadership.Return(departure);
    }
  };
  for (int i = 0; i < 3; ++i) threads.emplace_back(serve, i == 0);
  for (std::thread& thread : threads) thread.join();
  EXPECT_LT(shortest, std::chrono::nanoseconds(milliseconds(20)).count());
}

// What one leader has written, the next one reads: for the thread sanitizer.
TEST(Leadership, OneThreadLeadsAtATime) {
  constexpr int kTurns = 3000;
  Leadership leadership(microseconds(50));
  int turns = 0;  // not atomic: the leader's
  const auto serve = [&](bool leads) {
    while (leads || leadership.StandBy()) {
      if (++turns >= kTurns) {
        leadership.End();
        return;
      }
      const bool long_call = turns % 7 == 0;
      const Leadership::Departure departure = leadership.Leave();
      if (long_call) std::this_thread::sleep_for(microseconds(120));
      leads = leadership.Return(departure);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 5; ++i) threads.emplace_back(serve, i == 0);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(turns, kTurns);
}

TEST(Leadership, TheLeadIsHandedBackOnDemand) {
  constexpr int kCalls = 100;
  Leadership leadership(microseconds(100));
  int turns = 0;  // the leader's
  std::thread companion([&] {
    while (leadership.StandBy()) {
      while (!leadership.demanded()) {
        ++turns;
        std::this_thread::yield();
      }
      leadership.HandBack();
    }
  });
  int lost = 0;
  for (int call = 0; call < kCalls; ++call) {
    ++turns;
    const Leadership::Departure departure = leadership.Leave();
    std::this_thread::sleep_for(microseconds(300));
    if (leadership.Return(departure)) continue;
    ++lost;
    leadership.DemandBack([] {});
  }
  leadership.End();
  companion.join();
  EXPECT_GT(lost, 0);
  EXPECT_GE(turns, kCalls);
}

}  // namespace
}  // namespace gunid
