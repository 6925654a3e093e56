// With programs that are no zygotes: what a real one says is tested by the integration tests.
#include "supervisor/zygote_handle.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/signal_source.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

class Recorder : public ZygoteObserver {
 public:
  void ZygoteLoadedSettings(Zygote& /*zygote*/, const SettingsLoaded& /*loaded*/) override {}
  void ZygoteBecameReady(Zygote& /*zygote*/) override {}
  void ZygoteFailed(Zygote& /*zygote*/, const BootFailure& failure) override {
    failures.push_back(failure.message);
    tracebacks.push_back(failure.traceback);
  }
  void ZygoteLoadedFiles(const FilesLoaded& /*loaded*/) override {}
  void ZygoteForked(Zygote& /*zygote*/, const Forked& /*forked*/) override { ++forks; }

  std::vector<std::string> failures;
  std::vector<std::string> tracebacks;
  int forks = 0;
};

class ZygoteHandleTest : public testing::Test {
 protected:
  Result<std::unique_ptr<ZygoteHandle>> Start(const std::string& program) {
    ZygoteProgram start{.file = ProgramFile(program, UniqueFd(open(program.c_str(), O_PATH))),
                        .signal_mask = signals.original_mask(),
                        .scoreboard_fd = 0,
                        .handover_sending_fd = 0,
                        .handover_receiving_fd = 0};
    return ZygoteHandle::Start(loop, reaper, stacks, recorder, start, 1);
  }
  // The path of a program.
  std::string Script(const std::string& line) {
    const std::string path = directory.File("script");
    std::ofstream(path) << "#!/bin/sh\n" << line << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  void RunUntilFailure() {
    while (recorder.failures.empty()) loop.RunOnce();
  }

  TemporaryDirectory directory;
  EventLoop loop;
  Reaper reaper{loop};
  StackDump stacks{loop};
  SignalSource signals{loop, {SIGCHLD}, [this](int) { reaper.Reap(); }};
  Recorder recorder;
};

TEST_F(ZygoteHandleTest, AProgramThatCannotBeRunIsAnError) {
  const std::string file = directory.File("gunid-worker");
  std::ofstream(file) << "#!/nonexistent/shell\n";
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  const auto zygote = Start(file);
  ASSERT_FALSE(zygote.ok());
  EXPECT_EQ(zygote.error().message, "cannot start " + file + ": No such file or directory");
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
  const auto zygote = Start(Script("exec sleep 60"));
  ASSERT_TRUE(zygote.ok());
  (*zygote)->LimitBootTime(0.01);
  RunUntilFailure();
  (*zygote)->KillAndWait();
  loop.RunOnce(Nanoseconds(0));
  EXPECT_EQ(recorder.failures,
            std::vector<std::string>{"the configuration was not loaded within boot_timeout"});
  EXPECT_EQ(recorder.tracebacks, std::vector<std::string>{""});
}

TEST_F(ZygoteHandleTest, OneThatHangsIsAskedForItsStacksBeforeItIsKilled) {
  // Its descriptor 5 is for them; the signal is blocked when it starts.
  const auto zygote =
      Start(Script("exec /usr/bin/python3 -c '\n"
                   "import os, signal\n"
                   "signal.sigwait([signal.SIGRTMIN + 2])\n"
                   "os.write(5, b\"the stack\")\n"
                   "signal.pause()'"));
  ASSERT_TRUE(zygote.ok());
  (*zygote)->LimitBootTime(0.01);
  RunUntilFailure();
  EXPECT_EQ(recorder.tracebacks, std::vector<std::string>{"the stack"});
}

TEST_F(ZygoteHandleTest, OneThatNamesAProcessOfOthersIsGivenUp) {
  // Its descriptor 3 is the channel.
  const auto zygote =
      Start(Script("exec /usr/bin/python3 -c '\n"
                   "import os, signal, socket\n"
                   "channel = socket.socket(fileno=3)\n"
                   "channel.send(b\"{\\\"type\\\": \\\"forked\\\", \\\"worker_id\\\": 1, "
                   "\\\"pid\\\": \" + str(os.getppid()).encode() + b\"}\")\n"
                   "signal.pause()'"));
  ASSERT_TRUE(zygote.ok());
  RunUntilFailure();
  EXPECT_EQ(recorder.failures[0], "the zygote (pid:" + std::to_string((*zygote)->pid()) +
                                      ") names process " + std::to_string(getpid()) +
                                      ", which is no worker");
  EXPECT_EQ(recorder.forks, 0);
}

TEST_F(ZygoteHandleTest, OneThatEndsWhileItIsAskedFailsOnce) {
  const auto zygote = Start(Script("sleep 0.1"));
  ASSERT_TRUE(zygote.ok());
  (*zygote)->LimitBootTime(0.01);
  RunUntilFailure();
  EXPECT_EQ(recorder.failures,
            std::vector<std::string>{"the configuration was not loaded within boot_timeout"});
}

}  // namespace
}  // namespace gunid
