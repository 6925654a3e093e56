#include "supervisor/backoff.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Backoff, AllowsTheFirstReplacementAtOnce) {
  Backoff backoff;
  EXPECT_LE(backoff.allowed_at(), TimePoint(seconds(1)));
  backoff.Failed(TimePoint(seconds(100)));
  EXPECT_EQ(backoff.allowed_at(), TimePoint(seconds(100)));
}

TEST(Backoff, DoublesUpToThirtySeconds) {
  Backoff backoff;
  TimePoint now(seconds(100));
  backoff.Failed(now);
  for (const auto delay : {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000}) {
    backoff.Failed(now);
    EXPECT_EQ(backoff.allowed_at() - now, milliseconds(delay));
    now = backoff.allowed_at();
  }
}

TEST(Backoff, StartsOverAfterAQuietMinuteAndOnReset) {
  Backoff backoff;
  for (int i = 0; i < 5; ++i) backoff.Failed(TimePoint(seconds(10)));
  backoff.Failed(TimePoint(seconds(71)));
  EXPECT_EQ(backoff.failures(), 1);
  backoff.Failed(TimePoint(seconds(71)));
  backoff.Reset();
  EXPECT_EQ(backoff.failures(), 0);
}

}  // namespace
}  // namespace gunid
