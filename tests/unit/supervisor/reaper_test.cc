#include "supervisor/reaper.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

namespace gunid {
namespace {

// A child that has exited with `code` and waits to be collected.
pid_t DeadChild(int code) {
  const pid_t pid = fork();
  if (pid == 0) _exit(code);
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
  return pid;
}

class ReaperTest : public testing::Test {
 protected:
  Reaper::ExitFunction Record() {
    return [this](int status) { codes.push_back(WEXITSTATUS(status)); };
  }
  void Turn() { loop.RunOnce(Nanoseconds(0)); }

  EventLoop loop;
  Reaper reaper{loop};
  std::vector<int> codes;
};

TEST_F(ReaperTest, TellsWhoWatches) {
  reaper.Watch(DeadChild(5), Record());
  EXPECT_TRUE(codes.empty());
  reaper.Reap();
  EXPECT_EQ(codes, std::vector{5});
  reaper.Reap();
  EXPECT_EQ(codes, std::vector{5});
}

TEST_F(ReaperTest, KeepsAnExitThatComesBeforeTheZygoteNamedThePid) {
  reaper.ForkStarted();
  const pid_t pid = DeadChild(7);
  reaper.Reap();
  reaper.Watch(pid, Record());
  reaper.ForkEnded();
  EXPECT_TRUE(codes.empty()) << "not from inside Watch";
  Turn();
  EXPECT_EQ(codes, std::vector{7});
}

TEST_F(ReaperTest, ForgetsStrangersWhenNoForkIsUnderWay) {
  const pid_t stranger = DeadChild(1);
  reaper.Reap();
  reaper.Watch(stranger, Record());
  Turn();
  EXPECT_TRUE(codes.empty());

  reaper.ForkStarted();
  const pid_t late = DeadChild(2);
  reaper.Reap();
  reaper.ForkEnded();
  reaper.Watch(late, Record());
  Turn();
  EXPECT_TRUE(codes.empty());
}

TEST_F(ReaperTest, CollectsAForgottenChildSilently) {
  const pid_t pid = DeadChild(3);
  reaper.Watch(pid, Record());
  reaper.Forget(pid);
  reaper.Reap();
  EXPECT_TRUE(codes.empty());
  EXPECT_EQ(waitpid(pid, nullptr, WNOHANG), -1) << "it was collected";
}

}  // namespace
}  // namespace gunid
