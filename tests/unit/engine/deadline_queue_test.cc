#include "engine/deadline_queue.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace gunid {
namespace {

class Waiter : public Deadline {
 public:
  explicit Waiter(std::function<void()> action) : action_(std::move(action)) {}

 private:
  void OnDeadline() override { action_(); }
  std::function<void()> action_;
};

// Runs the loop until `condition`, for five seconds at most.
template <class Condition>
bool RunUntil(EventLoop& loop, Condition condition) {
  const TimePoint end = Clock().Now() + std::chrono::seconds(5);
  while (!condition() && Clock().Now() < end) loop.RunOnce(std::chrono::milliseconds(100));
  return condition();
}

TEST(DeadlineQueue, RunsInTheOrderOfArmingAndNotEarly) {
  EventLoop loop;
  DeadlineQueue queue(loop, 0.05);
  std::vector<int> order;
  Waiter first([&] { order.push_back(1); });
  Waiter second([&] { order.push_back(2); });
  const TimePoint start = Clock().Now();
  queue.Arm(second);
  queue.Arm(first);
  EXPECT_EQ(first.queue(), &queue);
  ASSERT_TRUE(RunUntil(loop, [&] { return order.size() == 2; }));
  EXPECT_GE(Clock().Now() - start, std::chrono::milliseconds(50));
  EXPECT_EQ(order, (std::vector<int>{2, 1}));
  EXPECT_EQ(first.queue(), nullptr);
}

TEST(DeadlineQueue, ArmingAgainStartsAnew) {
  EventLoop loop;
  DeadlineQueue queue(loop, 0.1);
  TimePoint fired{};
  Waiter waiter([&] { fired = Clock().Now(); });
  queue.Arm(waiter);
  loop.RunOnce(std::chrono::milliseconds(60));
  const TimePoint again = Clock().Now();
  queue.Arm(waiter);
  ASSERT_TRUE(RunUntil(loop, [&] { return fired != TimePoint{}; }));
  EXPECT_GE(fired - again, std::chrono::milliseconds(100));
}

TEST(DeadlineQueue, ADisarmedDeadlineDoesNotRun) {
  EventLoop loop;
  DeadlineQueue queue(loop, 0.02);
  bool other_ran = false;
  Waiter disarmed([] { FAIL(); });
  Waiter other([&] { other_ran = true; });
  queue.Arm(disarmed);
  queue.Arm(other);
  disarmed.Disarm();
  EXPECT_TRUE(RunUntil(loop, [&] { return other_ran; }));
}

TEST(DeadlineQueue, ADeadlineMayDisarmAnotherOrArmItselfWhenItRuns) {
  EventLoop loop;
  DeadlineQueue queue(loop, 0.02);
  int runs = 0;
  Waiter victim([] { FAIL(); });
  Waiter* self = nullptr;
  Waiter waiter([&] {
    victim.Disarm();
    if (++runs < 3) queue.Arm(*self);
  });
  self = &waiter;
  queue.Arm(waiter);
  queue.Arm(victim);
  EXPECT_TRUE(RunUntil(loop, [&] { return runs == 3; }));
}

TEST(DeadlineQueue, MovesADeadlineFromOneQueueToAnother) {
  EventLoop loop;
  DeadlineQueue soon(loop, 0.01);
  DeadlineQueue late(loop, 100);
  bool last_ran = false;
  Waiter moved([] { FAIL(); });
  Waiter last([&] { last_ran = true; });
  soon.Arm(moved);
  soon.Arm(last);
  late.Arm(moved);
  EXPECT_EQ(moved.queue(), &late);
  EXPECT_TRUE(RunUntil(loop, [&] { return last_ran; }));
}

TEST(DeadlineQueue, ZeroMeansNoLimit) {
  EventLoop loop;
  DeadlineQueue queue(loop, 0);
  Waiter waiter([] { FAIL(); });
  queue.Arm(waiter);
  EXPECT_EQ(waiter.queue(), nullptr);
  loop.RunOnce(std::chrono::milliseconds(5));
}

}  // namespace
}  // namespace gunid
