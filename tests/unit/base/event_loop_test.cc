#include "base/event_loop.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>

#include "support/pipe.h"

namespace gunid {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

void Fill(const Pipe& pipe) {
  ASSERT_EQ(write(pipe.writer.get(), "x", 1), 1);
}

class Recorder : public EventHandler {
 public:
  explicit Recorder(std::function<void(std::uint32_t)> on_events)
      : on_events_(std::move(on_events)) {}
  void OnEvents(std::uint32_t events) override { on_events_(events); }

 private:
  std::function<void(std::uint32_t)> on_events_;
};

class EventLoopTest : public testing::Test {
 protected:
  EventLoop loop_;
  std::vector<std::string> seen_;

  std::function<void()> Note(std::string what) {
    return [this, what = std::move(what)] { seen_.push_back(what); };
  }
};

TEST_F(EventLoopTest, CallsTheHandlerOfAReadyDescriptor) {
  const Pipe ready;
  const Pipe quiet;
  std::uint32_t events = 0;
  Recorder handler([&](std::uint32_t what) { events = what; });
  Recorder never([&](std::uint32_t) { seen_.emplace_back("never"); });
  ASSERT_TRUE(loop_.Add(ready.reader.get(), EPOLLIN, &handler));
  ASSERT_TRUE(loop_.Add(quiet.reader.get(), EPOLLIN, &never));
  Fill(ready);
  loop_.RunOnce();
  EXPECT_EQ(events, EPOLLIN);
  EXPECT_TRUE(seen_.empty());
}

TEST_F(EventLoopTest, ModifyChangesWhatIsWatched) {
  const Pipe pipe;
  std::uint32_t events = 0;
  Recorder handler([&](std::uint32_t what) { events = what; });
  ASSERT_TRUE(loop_.Add(pipe.writer.get(), 0, &handler));
  loop_.RunOnce(milliseconds(0));
  EXPECT_EQ(events, 0U);
  ASSERT_TRUE(loop_.Modify(pipe.writer.get(), EPOLLOUT, &handler));
  loop_.RunOnce(milliseconds(0));
  EXPECT_EQ(events, EPOLLOUT);
}

TEST_F(EventLoopTest, ReportsABadDescriptor) {
  Recorder handler([](std::uint32_t) {});
  EXPECT_FALSE(loop_.Add(-1, EPOLLIN, &handler));
  EXPECT_EQ(errno, EBADF);
}

TEST_F(EventLoopTest, HandlerMayRemoveItself) {
  const Pipe pipe;
  int calls = 0;
  std::unique_ptr<Recorder> handler;
  handler = std::make_unique<Recorder>([&](std::uint32_t) {
    ++calls;
    loop_.Remove(pipe.reader.get(), handler.get());
  });
  ASSERT_TRUE(loop_.Add(pipe.reader.get(), EPOLLIN, handler.get()));
  Fill(pipe);
  loop_.RunOnce(milliseconds(0));
  loop_.RunOnce(milliseconds(0));
  EXPECT_EQ(calls, 1);
}

// Both are ready in one turn; whoever comes first frees the other, whose fetched event must be
// dropped.
TEST_F(EventLoopTest, HandlerMayDestroyAnotherThatIsReadyToo) {
  const Pipe pipes[2];
  std::unique_ptr<Recorder> handlers[2];
  int calls = 0;
  for (int i = 0; i < 2; ++i) {
    handlers[i] = std::make_unique<Recorder>([&, other = 1 - i](std::uint32_t) {
      ++calls;
      loop_.Remove(pipes[other].reader.get(), handlers[other].get());
      handlers[other].reset();
    });
    ASSERT_TRUE(loop_.Add(pipes[i].reader.get(), EPOLLIN, handlers[i].get()));
    Fill(pipes[i]);
  }
  loop_.RunOnce(milliseconds(0));
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, TimersFireInOrderOfTime) {
  loop_.RunAfter(milliseconds(20), Note("late"));
  loop_.RunAfter(milliseconds(5), Note("early"));
  const TimePoint same = Clock().Now() + milliseconds(10);
  loop_.RunAt(same, Note("first of two"));
  loop_.RunAt(same, Note("second of two"));
  loop_.RunAfter(milliseconds(21), [this] { loop_.Stop(); });
  loop_.Run();
  EXPECT_THAT(seen_, ElementsAre("early", "first of two", "second of two", "late"));
}

TEST_F(EventLoopTest, TimerIsNeverEarly) {
  const TimePoint start = Clock().Now();
  TimePoint fired{};
  loop_.RunAfter(std::chrono::microseconds(3500), [&] {
    fired = Clock().Now();
    loop_.Stop();
  });
  loop_.Run();
  EXPECT_GE(fired - start, std::chrono::microseconds(3500));
}

TEST_F(EventLoopTest, CancelledTimersDoNotFire) {
  const auto before = loop_.RunAfter(milliseconds(1), Note("cancelled before"));
  loop_.Cancel(before);
  loop_.Cancel(before);
  EventLoop::TimerId later = 0;
  loop_.RunAfter(milliseconds(0), [&] { loop_.Cancel(later); });
  later =
      loop_.RunAfter(milliseconds(0), Note("cancelled by a timer that is due in the same turn"));
  loop_.RunAfter(milliseconds(5), [this] { loop_.Stop(); });
  loop_.Run();
  EXPECT_TRUE(seen_.empty());
}

TEST_F(EventLoopTest, TimerMayCancelItselfAndMakeAnother) {
  EventLoop::TimerId own = 0;
  own = loop_.RunAfter(milliseconds(0), [&] {
    loop_.Cancel(own);
    loop_.RunAfter(milliseconds(1), [&] {
      seen_.emplace_back("second");
      loop_.Stop();
    });
  });
  loop_.Run();
  EXPECT_THAT(seen_, ElementsAre("second"));
}

TEST_F(EventLoopTest, LimitCapsTheWait) {
  loop_.RunAfter(std::chrono::hours(1), Note("never"));
  const TimePoint start = Clock().Now();
  loop_.RunOnce(milliseconds(2));
  EXPECT_GE(Clock().Now() - start, milliseconds(2));
  EXPECT_LT(Clock().Now() - start, std::chrono::minutes(1));
  EXPECT_TRUE(seen_.empty());
}

TEST_F(EventLoopTest, PostRunsFunctionsInOrder) {
  loop_.Post(Note("one"));
  loop_.Post([this] {
    seen_.emplace_back("two");
    loop_.Post(Note("posted meanwhile"));
  });
  loop_.Post(Note("three"));
  loop_.RunOnce();
  EXPECT_THAT(seen_, ElementsAre("one", "two", "three"));
  loop_.RunOnce();
  EXPECT_THAT(seen_, ElementsAre("one", "two", "three", "posted meanwhile"));
}

TEST_F(EventLoopTest, ThreadsMayPost) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 500;
  std::vector<int> last(kThreads, -1);
  int count = 0;
  bool in_order = true;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kPosts; ++i) {
        loop_.Post([&, thread, i] {
          in_order = in_order && last[thread] == i - 1;
          last[thread] = i;
          if (++count == kThreads * kPosts) loop_.Stop();
        });
      }
    });
  }
  loop_.Run();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, kThreads * kPosts);
  EXPECT_TRUE(in_order);
}

TEST_F(EventLoopTest, WakeEndsABlockedWait) {
  std::thread waker([this] {
    std::this_thread::sleep_for(milliseconds(5));
    loop_.Wake();
  });
  loop_.RunOnce();  // would block for ever
  waker.join();
}

class Observer : public WaitObserver {
 public:
  void BeforeWait() override { ++waits; }
  int waits = 0;
};

TEST_F(EventLoopTest, ObserverIsToldOnlyWhenAWaitBlocks) {
  Observer observer;
  loop_.Wake();
  loop_.RunOnce(milliseconds(-1), &observer);
  loop_.RunOnce(milliseconds(0), &observer);
  EXPECT_EQ(observer.waits, 0);
  loop_.RunOnce(milliseconds(1), &observer);
  EXPECT_EQ(observer.waits, 1);
}

TEST_F(EventLoopTest, KnowsItsNextTimer) {
  EXPECT_FALSE(loop_.next_timer());
  const TimePoint when = Clock().Now() + std::chrono::hours(1);
  loop_.RunAt(when + milliseconds(1), [] {});
  const auto first = loop_.RunAt(when, [] {});
  EXPECT_EQ(loop_.next_timer(), when);
  loop_.Cancel(first);
  EXPECT_EQ(loop_.next_timer(), when + milliseconds(1));
}

}  // namespace
}  // namespace gunid
