#include "base/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/pipe.h"

namespace gunid {
namespace {

int WaitFor(pid_t pid) {
  int status = -1;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return status;
}

ChildProcess Shell(const std::string& script) {
  return ChildProcess{.program = "/bin/sh", .arguments = {"sh", "-c", script}};
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[256];
  for (ssize_t got = 0; (got = read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(got));
  return text;
}

// Runs `child` with a pipe at descriptor 1 and returns what it wrote.
std::string Output(ChildProcess child) {
  Pipe output;
  child.fds.emplace_back(output.writer.get(), STDOUT_FILENO);
  const auto pid = Spawn(child);
  EXPECT_TRUE(pid);
  if (!pid) return {};
  output.writer.Reset();
  std::string text = ReadAll(output.reader.get());
  EXPECT_EQ(WaitFor(*pid), 0);
  return text;
}

TEST(Spawn, StartsAProgramInItsDirectoryAndProcessGroup) {
  ChildProcess child = Shell("pwd; ps -o pgid= -p $$ | tr -d ' '; echo $$");
  child.directory = "/";
  const std::string output = Output(child);
  ASSERT_EQ(output.substr(0, 2), "/\n");
  const std::size_t end = output.find('\n', 2);
  EXPECT_EQ(output.substr(2, end - 1), output.substr(end + 1));
}

TEST(Spawn, ReportsAMissingProgram) {
  const auto pid = Spawn({.program = "/does/not/exist", .arguments = {"x"}});
  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error().message, "cannot start /does/not/exist: No such file or directory");
}

TEST(Spawn, ReportsADescriptorThatIsNotOpen) {
  ChildProcess child = Shell("exit 0");
  child.fds = {{-1, 3}};
  const auto pid = Spawn(child);
  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error().message, "cannot pass descriptor -1 to a child: Bad file descriptor");
}

// Each one's number is the other's target.
TEST(Spawn, DescriptorsMaySwapNumbers) {
  const Pipe first;
  const Pipe second;
  ASSERT_EQ(write(first.writer.get(), "first\n", 6), 6);
  ASSERT_EQ(write(second.writer.get(), "second\n", 7), 7);
  const int a = first.reader.get();
  const int b = second.reader.get();
  ASSERT_LT(std::max(a, b), 10) << "dash takes numbers of one digit only";
  ChildProcess child =
      Shell("read x <&" + std::to_string(a) + "; read y <&" + std::to_string(b) + "; echo $x $y");
  child.fds = {{a, b}, {b, a}};
  EXPECT_EQ(Output(child), "second first\n");
}

TEST(Spawn, LeavesADescriptorAtItsNumber) {
  const Pipe pipe;
  ASSERT_EQ(write(pipe.writer.get(), "here\n", 5), 5);
  const int fd = pipe.reader.get();
  ASSERT_LT(fd, 10);
  ChildProcess child = Shell("read x <&" + std::to_string(fd) + "; echo $x");
  child.fds = {{fd, fd}};
  EXPECT_EQ(Output(child), "here\n");
}

TEST(Spawn, PassesNothingElse) {
  const Pipe pipe;
  const std::string fd = std::to_string(pipe.reader.get());
  EXPECT_EQ(Output(Shell("test -e /proc/$$/fd/" + fd + " || echo closed")), "closed\n");
}

TEST(Spawn, ResetsSignals) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto old_action = std::signal(SIGTERM, SIG_IGN);
  const auto pid = Spawn(Shell("kill -TERM $$; sleep 10"));
  std::signal(SIGTERM, old_action);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(pid);
  const int status = WaitFor(*pid);
  EXPECT_EQ(DescribeExit(status), "was killed by SIGTERM");
}

TEST(DescribeExit, NamesCodes) {
  const auto pid = Spawn(Shell("exit 3"));
  ASSERT_TRUE(pid);
  EXPECT_EQ(DescribeExit(WaitFor(*pid)), "exited with code 3");
}

TEST(SignalName, KnowsNamesAndNumbers) {
  EXPECT_EQ(SignalName(SIGSEGV), "SIGSEGV");
  EXPECT_EQ(SignalName(40), "signal 40");
}

}  // namespace
}  // namespace gunid
