#include "supervisor/error_relay.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "support/file_contents.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

void Write(const UniqueFd& fd, const std::string& text) {
  ASSERT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

class ErrorRelayTest : public testing::Test {
 protected:
  [[nodiscard]] std::string Written() const { return FileContents(path); }

  TemporaryDirectory directory;
  std::string path = directory.File("output");
  UniqueFd output{open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
  ErrorRelay relay{output.get()};
};

TEST_F(ErrorRelayTest, AllThatWasWrittenComesOutBeforeItStops) {
  const auto one = relay.Open(1);
  const auto two = relay.Open(2);
  relay.Start();
  Write(*one, "a\n");
  Write(*two, std::string(60000, 'b'));
  relay.Stop();
  const std::string written = Written();
  EXPECT_EQ(written.size(), 60002U);
  EXPECT_NE(written.find("a\n"), std::string::npos);
  // And it begins again.
  relay.Start();
  Write(*one, "c\n");
  relay.Stop();
  EXPECT_TRUE(Written().ends_with("c\n"));
}

TEST_F(ErrorRelayTest, TheTailIsTheEndOfWhatThatWorkerWrote) {
  const auto one = relay.Open(1);
  const auto two = relay.Open(2);
  relay.Start();
  Write(*one, "first " + std::string(ErrorRelay::kTailBytes, 'x') + "last");
  Write(*two, "other\xff\x1b");
  EXPECT_EQ(relay.Tail(1), std::string(ErrorRelay::kTailBytes - 4, 'x') + "last");
  EXPECT_EQ(relay.Tail(2), "other\xff\x1b");
  Write(*two, "!");
  EXPECT_EQ(relay.Tail(2), "other\xff\x1b!");
  EXPECT_EQ(relay.Tail(3), "");
  relay.Forget(2);
  EXPECT_EQ(relay.Tail(2), "");
}

TEST_F(ErrorRelayTest, AWriterMayOutliveTheWorker) {
  auto pipe = relay.Open(1);
  relay.Start();
  Write(*pipe, "worker\n");
  EXPECT_EQ(relay.Tail(1), "worker\n");
  relay.Forget(1);
  Write(*pipe, "its child\n");
  relay.Stop();
  EXPECT_EQ(Written(), "worker\nits child\n");
  EXPECT_EQ(relay.ToState().size(), 1U);
  relay.Start();
  *pipe = UniqueFd();
  while (!relay.ToState().empty()) usleep(1000);
}

TEST_F(ErrorRelayTest, AnEndedPipeKeepsItsTailUntilItIsForgotten) {
  relay.Start();
  {
    const auto pipe = relay.Open(1);
    Write(*pipe, "last words");
  }
  while (!relay.ToState().empty()) usleep(1000);
  EXPECT_EQ(relay.Tail(1), "last words");
  relay.Forget(1);
  EXPECT_EQ(relay.Tail(1), "");
}

TEST_F(ErrorRelayTest, AnotherOneTakesThePipes) {
  const auto pipe = relay.Open(7);
  auto state = relay.ToState();
  ASSERT_EQ(state.size(), 1U);
  state[0].fd = dup(state[0].fd);
  ErrorRelay next(output.get());
  next.Adopt(state);
  next.Start();
  Write(*pipe, "hello\n");
  next.Stop();
  EXPECT_EQ(Written(), "hello\n");
  EXPECT_EQ(next.Tail(7), "hello\n");
}

TEST(ErrorRelay, AnOutputThatNobodyReadsHoldsUpNothing) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  ErrorRelay relay(writing.get());
  const auto pipe = relay.Open(1);
  relay.Start();
  fcntl(pipe->get(), F_SETFL, O_NONBLOCK);
  const std::string text(4096, 'x');
  // Until both pipes are full.
  std::size_t accepted = 0;
  for (int misses = 0; misses < 20;) {
    const ssize_t written = write(pipe->get(), text.data(), text.size());
    if (written > 0) {
      accepted += static_cast<std::size_t>(written);
    } else {
      ++misses;
      usleep(1000);
    }
  }
  EXPECT_EQ(relay.Tail(1).size(), ErrorRelay::kTailBytes);
  relay.Stop();  // gives up

  // What it had read is not lost if it goes on.
  std::size_t read_again = 0;
  std::array<char, 65536> buffer;
  fcntl(reading.get(), F_SETFL, O_NONBLOCK);
  const auto drain = [&] {
    for (ssize_t size = 0; (size = read(reading.get(), buffer.data(), buffer.size())) > 0;)
      read_again += static_cast<std::size_t>(size);
  };
  drain();
  ASSERT_LT(read_again, accepted);
  relay.Start();
  while (read_again < accepted) drain();
}

TEST(ErrorRelay, AnOutputThatIsClosedLosesTheTextAndKeepsTheTail) {
  std::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  close(ends[0]);
  const UniqueFd writing(ends[1]);
  ErrorRelay relay(writing.get());
  const auto pipe = relay.Open(1);
  relay.Start();
  for (int i = 0; i < 1000; ++i) Write(*pipe, std::string(1000, 'x'));
  EXPECT_EQ(relay.Tail(1).size(), ErrorRelay::kTailBytes);
}

}  // namespace
}  // namespace gunid
