#include "engine/output.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdlib>

namespace gunid {
namespace {

constexpr std::uint64_t kFileLimit = 64 * 1024 * 1024;

class OutputTest : public testing::Test {
 protected:
  OutputTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    server_.Reset(ends[0]);
    client_.Reset(ends[1]);
    output_.Attach(server_.get(), kFileLimit);
  }

  std::string Receive() {
    std::string bytes;
    char buffer[65536];
    ssize_t got;
    while ((got = ::recv(client_.get(), buffer, sizeof buffer, 0)) > 0) {
      bytes.append(buffer, static_cast<std::size_t>(got));
    }
    return bytes;
  }

  // What arrives until all is written.
  std::string ReceiveAll() {
    std::string bytes = Receive();
    while (output_.Flush() != Output::Progress::kDone) bytes += Receive();
    EXPECT_TRUE(output_.empty());
    return bytes + Receive();
  }

  UniqueFd server_;
  UniqueFd client_;
  Output output_;
  std::string received_;
};

TEST_F(OutputTest, QueuedBytesGoOutWithTheNextWrite) {
  output_.queue().append("head ");
  EXPECT_EQ(Receive(), "");
  EXPECT_EQ(output_.bytes_sent(), 0U);
  EXPECT_EQ(output_.pending_bytes(), 5U);
  EXPECT_EQ(output_.Write({"one ", "", "two"}), Output::Progress::kDone);
  EXPECT_EQ(Receive(), "head one two");
  EXPECT_EQ(output_.bytes_sent(), 12U);
  EXPECT_TRUE(output_.empty());
}

TEST_F(OutputTest, KeepsInOrderWhatTheSocketDoesNotTake) {
  std::string expected;
  Output::Progress progress = Output::Progress::kDone;
  for (int i = 0; i < 100; ++i) {
    const std::string line = std::to_string(i) + "\n";
    const std::string data(10'000 + i, static_cast<char>('a' + i % 26));
    progress = output_.Write({line, data, "end"});
    expected += line + data + "end";
  }
  EXPECT_EQ(progress, Output::Progress::kBlocked);
  EXPECT_EQ(output_.total_bytes(), expected.size());
  EXPECT_TRUE(ReceiveAll() == expected);
  EXPECT_EQ(output_.bytes_sent(), expected.size());
}

TEST_F(OutputTest, BytesThatFollowAPendingFileComeAfterIt) {
  std::string content(3'000'000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i >> 7);
  UniqueFd file(::memfd_create("content", 0));
  ASSERT_EQ(::write(file.get(), content.data(), content.size()),
            static_cast<ssize_t>(content.size()));
  output_.queue().append("before");
  const Output::Progress begun = output_.WriteFile(file.get(), 100, content.size() - 100);
  EXPECT_TRUE(begun == Output::Progress::kMore || begun == Output::Progress::kBlocked);
  file.Reset();  // the output has its own
  output_.queue().append("after");
  EXPECT_EQ(output_.Write({"!"}), Output::Progress::kBlocked);
  EXPECT_FALSE(output_.empty());
  EXPECT_TRUE(ReceiveAll() == "before" + content.substr(100) + "after!");
}

TEST_F(OutputTest, FailsWithoutASignalWhenTheClientIsGone) {
  client_.Reset();
  EXPECT_EQ(output_.Write({"x"}), Output::Progress::kFailed);
  output_.queue().append("x");
  EXPECT_EQ(output_.Flush(), Output::Progress::kFailed);
}

TEST_F(OutputTest, GoesToAFileBeyondTheMemoryLimitAndStaysInOrder) {
  std::string expected;
  for (int i = 0; i < 30'000; ++i) {
    const std::string line = std::to_string(i) + (i % 1000 == 0 ? std::string(70'000, '-') : "\n");
    ASSERT_NE(output_.Write({line}), Output::Progress::kFailed);
    expected += line;
    if (i % 5000 != 0) continue;
    received_ += Receive();
    EXPECT_TRUE(expected.starts_with(received_));
  }
  EXPECT_TRUE(output_.has_file());
  EXPECT_EQ(output_.total_bytes(), expected.size());
  EXPECT_EQ(received_ + ReceiveAll(), expected);
  EXPECT_FALSE(output_.has_file());
  EXPECT_EQ(output_.Write({"again"}), Output::Progress::kDone);
  EXPECT_EQ(Receive(), "again");
}

TEST_F(OutputTest, SendsALargeFileInTurns) {
  const UniqueFd file(::memfd_create("file", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 3 * Output::kMostOfFile), 0);
  Output::Progress progress = output_.WriteFile(file.get(), 0, 3 * Output::kMostOfFile);
  std::size_t most = 0;
  for (std::uint64_t before = 0; progress != Output::Progress::kDone;) {
    ASSERT_NE(progress, Output::Progress::kFailed);
    received_ += Receive();
    progress = output_.Flush();
    most = std::max<std::size_t>(most, output_.bytes_sent() - before);
    before = output_.bytes_sent();
  }
  EXPECT_LE(most, 2 * Output::kMostOfFile);
  EXPECT_EQ(received_.size() + Receive().size(), 3 * Output::kMostOfFile);
}

TEST_F(OutputTest, IsFullAtTheLimitOfTheFileUntilItIsDrained) {
  const std::string block(4'000'000, 'x');
  std::uint64_t written = 0;
  while (!output_.full()) {
    ASSERT_NE(output_.Write({block}), Output::Progress::kFailed);
    written += block.size();
  }
  EXPECT_GT(written, kFileLimit);
  EXPECT_LT(written, kFileLimit + 4 * block.size());
  EXPECT_FALSE(output_.has_room());
  EXPECT_EQ(ReceiveAll().size(), written);
  EXPECT_TRUE(output_.has_room());
}

TEST_F(OutputTest, IsNeverFullWithoutALimit) {
  output_.Attach(server_.get(), 0);
  const std::string block(4'000'000, 'x');
  for (int i = 0; i < 40; ++i) ASSERT_NE(output_.Write({block}), Output::Progress::kFailed);
  EXPECT_FALSE(output_.full());
  EXPECT_TRUE(output_.has_room());
}

TEST_F(OutputTest, StaysInMemoryAndGetsFullWithoutATemporaryFile) {
  const char* old = std::getenv("TMPDIR");
  const std::string saved = old != nullptr ? old : "/tmp";
  ::setenv("TMPDIR", "/absent", 1);
  std::string expected;
  while (!output_.full()) {
    const std::string line = std::to_string(expected.size()) + "\n";
    ASSERT_NE(output_.Write({line}), Output::Progress::kFailed);
    expected += line;
  }
  ::setenv("TMPDIR", saved.c_str(), 1);
  EXPECT_FALSE(output_.has_file());
  EXPECT_LT(output_.pending_bytes(), 5 * Output::kMemoryLimit);
  EXPECT_EQ(ReceiveAll(), expected);
  EXPECT_TRUE(output_.has_room());
}

TEST_F(OutputTest, TruncateTakesBackWhatIsQueued) {
  output_.queue().append("interim ");
  EXPECT_EQ(output_.Write({}), Output::Progress::kDone);
  output_.queue().append("head ");
  output_.Truncate(8);
  output_.queue().append("other");
  EXPECT_EQ(output_.Flush(), Output::Progress::kDone);
  EXPECT_EQ(Receive(), "interim other");
}

TEST_F(OutputTest, ClearForgetsWhatIsPending) {
  output_.queue().append("old");
  output_.Clear();
  EXPECT_TRUE(output_.empty());
  EXPECT_EQ(output_.Write({"new"}), Output::Progress::kDone);
  EXPECT_EQ(Receive(), "new");
}

}  // namespace
}  // namespace gunid
