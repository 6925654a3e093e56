// With programs that are no zygotes: what a real one says is tested by the integration tests.
#include "supervisor/zygote_handle.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/signal_source.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

class Recorder : public ZygoteObserver {
 public:
  void ZygoteLoadedSettings(ZygoteHandle& /*zygote*/, const SettingsLoaded& /*loaded*/) override {}
  void ZygoteBecameReady(ZygoteHandle& /*zygote*/) override {}
  void ZygoteFailed(ZygoteHandle& /*zygote*/, const BootFailure& failure) override {
    failures.push_back(failure.message);
  }
  void ZygoteForked(ZygoteHandle& /*zygote*/, const Forked& /*forked*/) override {}

  std::vector<std::string> failures;
};

class ZygoteHandleTest : public testing::Test {
 protected:
  Result<std::unique_ptr<ZygoteHandle>> Start(const std::string& program) {
    ZygoteProgram start{
        .path = program, .signal_mask = signals.original_mask(), .scoreboard_fd = 0};
    return ZygoteHandle::Start(loop, reaper, recorder, start, 1);
  }
  void RunUntilFailure() {
    while (recorder.failures.empty()) loop.RunOnce();
  }

  EventLoop loop;
  Reaper reaper{loop};
  SignalSource signals{loop, {SIGCHLD}, [this](int) { reaper.Reap(); }};
  Recorder recorder;
};

TEST_F(ZygoteHandleTest, AProgramThatIsNotThereIsAnError) {
  const auto zygote = Start("/nonexistent/gunid-worker");
  ASSERT_FALSE(zygote.ok());
  EXPECT_EQ(zygote.error().message,
            "cannot start /nonexistent/gunid-worker: No such file or directory");
}

TEST_F(ZygoteHandleTest, AnExitWithoutAWordIsAFailureThatNamesIt) {
  const auto zygote = Start("/bin/false");
  ASSERT_TRUE(zygote.ok());
  RunUntilFailure();
  EXPECT_EQ(recorder.failures[0],
            "the zygote (pid:" + std::to_string((*zygote)->pid()) + ") exited with code 1");
  EXPECT_TRUE((*zygote)->failed());
}

TEST_F(ZygoteHandleTest, OneThatHangsFailsAtItsDeadlineOnce) {
  const TemporaryDirectory directory;
  const std::string hanging = directory.File("hanging");
  std::ofstream(hanging) << "#!/bin/sh\nexec sleep 60\n";
  std::filesystem::permissions(hanging, std::filesystem::perms::owner_all);
  const auto zygote = Start(hanging);
  ASSERT_TRUE(zygote.ok());
  (*zygote)->LimitBootTime(0.01);
  RunUntilFailure();
  (*zygote)->KillAndWait();
  loop.RunOnce(Nanoseconds(0));
  EXPECT_EQ(recorder.failures,
            std::vector<std::string>{"the configuration was not loaded within boot_timeout"});
}

}  // namespace
}  // namespace gunid
