#include "worker/worker_signals.h"

#include <gtest/gtest.h>

#include <csignal>
#include <memory>

namespace gunid {
namespace {

class WorkerSignalsTest : public testing::Test {
 protected:
  void Raise(int signal) {
    raise(signal);
    loop.RunOnce(Nanoseconds(0));
  }

  EventLoop loop;
  int drains = 0;
  int stops = 0;
  int reopened = 0;
  WorkerSignals signals{{.drain = [this] { ++drains; },
                         .stop = [this] { ++stops; },
                         .reopen_logs = [this] { ++reopened; }}};
};

TEST(WorkerSignalsDeathTest, EndTheProcessWhileTheApplicationIsImported) {
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT}) {
    EXPECT_EXIT(
        {
          WorkerSignals importing({.drain = [] {}, .stop = [] {}, .reopen_logs = [] {}});
          raise(signal);
          _exit(9);
        },
        testing::ExitedWithCode(0), "");
  }
}

TEST_F(WorkerSignalsTest, BecomeCallsOnTheLoop) {
  signals.Attach(loop);
  Raise(SIGTERM);
  EXPECT_EQ(drains, 1);
  EXPECT_EQ(stops, 0);
  Raise(SIGINT);
  Raise(SIGQUIT);
  EXPECT_EQ(stops, 2);
  EXPECT_EQ(reopened, 0);
  Raise(SIGUSR1);
  EXPECT_EQ(reopened, 1);
  EXPECT_EQ(drains, 1);
  EXPECT_EQ(stops, 2);
}

TEST_F(WorkerSignalsTest, AreNotThoseOfAForkedProcess) {
  signals.Attach(loop);
  EXPECT_EXIT(raise(SIGTERM), testing::KilledBySignal(SIGTERM), "");
  loop.RunOnce(Nanoseconds(0));
  EXPECT_EQ(drains, 0);
}

TEST_F(WorkerSignalsTest, AttachTakesBackWhatTheApplicationChanged) {
  std::signal(SIGTERM, SIG_IGN);
  signals.Attach(loop);
  Raise(SIGTERM);
  EXPECT_EQ(drains, 1);
}

TEST_F(WorkerSignalsTest, OutliveTheLoopOnceDetached) {
  auto short_lived = std::make_unique<EventLoop>();
  signals.Attach(*short_lived);
  signals.Detach();
  short_lived.reset();
}

TEST_F(WorkerSignalsTest, AreNotBlockedForProgramsThatTheApplicationStarts) {
  signals.Attach(loop);
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGUSR1})
    EXPECT_EQ(sigismember(&blocked, signal), 0);
}

}  // namespace
}  // namespace gunid
