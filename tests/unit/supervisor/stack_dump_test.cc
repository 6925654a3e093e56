// With processes that answer as faulthandler and a worker with greenlets would.
#include "supervisor/stack_dump.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "ipc/spawn_protocol.h"

namespace gunid {
namespace {

int g_file = -1;

void WriteStacks(int /*signal*/) {
  static int count = 0;
  const char text[] = {'0', static_cast<char>('0' + ++count % 10)};
  [[maybe_unused]] const ssize_t written = write(g_file, text, sizeof text);
}

// The signal in many small pieces, as faulthandler writes.
void WriteSlowly(int /*signal*/) {
  for (int i = 0; i < 20; ++i) {
    [[maybe_unused]] const ssize_t written = write(g_file, "x", 1);
    usleep(1000);
  }
}

class StackDumpTest : public testing::Test {
 protected:
  void TearDown() override {
    if (pid <= 0) return;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }

  void StartProcess(void (*handler)(int)) {
    sigset_t mask;
    sigset_t before;
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN + kStackSignal);
    pthread_sigmask(SIG_BLOCK, &mask, &before);
    pid = fork();
    if (pid == 0) {
      g_file = file.fd();
      signal(SIGRTMIN + kStackSignal, handler);
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      for (;;) pause();
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ASSERT_GT(pid, 0);
  }
  void Start() {
    dump.Start(target(), [this](const DumpedStacks& stacks) { results.push_back(stacks); });
  }
  DumpTarget target() {
    DumpTarget made{.pid = pid, .file = &file};
    if (greenlets) made.ask_for_greenlets = [this] { ++asked; };
    return made;
  }
  void RunUntilResults(std::size_t count) {
    while (results.size() < count) loop.RunOnce();
  }
  void WriteAsWorker(const std::string& text) {
    ASSERT_EQ(write(file.fd(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  EventLoop loop;
  StackDump dump{loop};
  StackFile file = std::move(*StackFile::Create());
  pid_t pid = 0;
  bool greenlets = false;
  int asked = 0;
  std::vector<DumpedStacks> results;
};

TEST_F(StackDumpTest, GivesWhatTheProcessWrites) {
  StartProcess(WriteStacks);
  Start();
  EXPECT_TRUE(results.empty()) << "never at once";
  RunUntilResults(1);
  EXPECT_EQ(results[0].text, "01");
  EXPECT_EQ(results[0].missing, "");
  EXPECT_FALSE(results[0].held_up);
}

TEST_F(StackDumpTest, EveryDumpStartsAnew) {
  StartProcess(WriteStacks);
  for (const char* expected : {"01", "02", "03"}) {
    Start();
    RunUntilResults(results.size() + 1);
    EXPECT_EQ(results.back().text, expected);
  }
}

TEST_F(StackDumpTest, WaitsUntilNothingMoreComes) {
  StartProcess(WriteSlowly);
  Start();
  RunUntilResults(1);
  EXPECT_EQ(results[0].text, std::string(20, 'x'));
}

TEST_F(StackDumpTest, ThoseWhoAskTogetherShare) {
  StartProcess(WriteStacks);
  Start();
  Start();
  RunUntilResults(2);
  EXPECT_EQ(results[0].text, "01");
  EXPECT_EQ(results[1].text, "01");
}

TEST_F(StackDumpTest, AProcessThatDoesNotAnswerHasNone) {
  StartProcess([](int) {});
  Start();
  RunUntilResults(1);
  EXPECT_EQ(results[0].text, "");
  EXPECT_EQ(results[0].missing, "the process did not write any in time");
}

TEST_F(StackDumpTest, AProcessThatIsGoneHasNone) {
  StartProcess([](int) {});
  Start();
  Start();
  dump.Gone(pid);
  EXPECT_TRUE(results.empty()) << "never at once";
  RunUntilResults(2);
  EXPECT_EQ(results[0].missing, "the process is gone");
  Start();
  RunUntilResults(3);
  EXPECT_EQ(results[2].missing, "the process did not write any in time") << "asked anew";
}

TEST_F(StackDumpTest, NobodyIsCalledWhoWasForgotten) {
  StartProcess(WriteStacks);
  Start();
  dump.Forget(pid);
  dump.Forget(pid);
  dump.Gone(pid);
  Start();
  RunUntilResults(1);
  loop.RunOnce(Nanoseconds(0));
  EXPECT_EQ(results.size(), 1U);
}

TEST_F(StackDumpTest, GreenletsAreAskedByAMessage) {
  greenlets = true;
  StartProcess(WriteStacks);
  Start();
  EXPECT_EQ(asked, 1);
  WriteAsWorker("greenlets");
  dump.Written(pid);
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].text, "greenlets");
  EXPECT_FALSE(results[0].held_up);
}

TEST_F(StackDumpTest, GreenletsThatDoNotAnswerAreHeldUpByOne) {
  greenlets = true;
  StartProcess(WriteStacks);
  Start();
  dump.Written(pid);  // to an earlier question: the file is empty
  EXPECT_TRUE(results.empty());
  RunUntilResults(1);
  EXPECT_EQ(results[0].text, "01");
  EXPECT_TRUE(results[0].held_up);
  dump.Written(pid);  // too late
  EXPECT_EQ(results.size(), 1U);
}

}  // namespace
}  // namespace gunid
