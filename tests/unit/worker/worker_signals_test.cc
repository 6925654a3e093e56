#include "worker/worker_signals.h"

#include <gtest/gtest.h>

#include <csignal>

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
  WorkerSignals signals{[this] { ++drains; }, [this] { ++stops; }};
};

using WorkerSignalsDeathTest = WorkerSignalsTest;

TEST_F(WorkerSignalsDeathTest, EndTheProcessWhileTheApplicationIsImported) {
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT}) {
    EXPECT_EXIT(
        {
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
  Raise(SIGUSR1);
  EXPECT_EQ(drains, 1);
  EXPECT_EQ(stops, 2);
}

TEST_F(WorkerSignalsTest, AttachTakesBackWhatTheApplicationChanged) {
  std::signal(SIGTERM, SIG_IGN);
  signals.Attach(loop);
  Raise(SIGTERM);
  EXPECT_EQ(drains, 1);
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
