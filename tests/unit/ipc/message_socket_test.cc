#include "ipc/message_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace gunid {
namespace {

class MessageSocketTest : public testing::Test {
 protected:
  void SetUp() override {
    auto pair = MessageSocket::Pair();
    ASSERT_TRUE(pair);
    supervisor_ = std::move(pair->first);
    other_ = std::move(pair->second);
  }

  static Packet Received(MessageSocket& socket) {
    auto packet = socket.Receive();
    EXPECT_TRUE(packet) << (packet ? "" : packet.error().message);
    if (!packet || !*packet) {
      ADD_FAILURE() << "no packet";
      return {};
    }
    return std::move(**packet);
  }

  MessageSocket supervisor_;
  MessageSocket other_;
};

ino_t Inode(int fd) {
  struct stat status {};
  EXPECT_EQ(fstat(fd, &status), 0);
  return status.st_ino;
}

TEST_F(MessageSocketTest, OnlyTheFirstEndIsNonBlocking) {
  EXPECT_TRUE(fcntl(supervisor_.fd(), F_GETFL) & O_NONBLOCK);
  EXPECT_FALSE(fcntl(other_.fd(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(fcntl(supervisor_.fd(), F_GETFD) & FD_CLOEXEC);
  EXPECT_TRUE(fcntl(other_.fd(), F_GETFD) & FD_CLOEXEC);
}

TEST_F(MessageSocketTest, KeepsPacketsApart) {
  ASSERT_TRUE(supervisor_.Send("one"));
  ASSERT_TRUE(supervisor_.Send("two"));
  EXPECT_EQ(Received(other_).bytes, "one");
  EXPECT_EQ(Received(other_).bytes, "two");
  ASSERT_TRUE(other_.Send(std::string("a\0b", 3)));
  EXPECT_EQ(Received(supervisor_).bytes, std::string("a\0b", 3));
}

TEST_F(MessageSocketTest, NothingThereIsNoError) {
  const auto packet = supervisor_.Receive();
  ASSERT_TRUE(packet);
  EXPECT_FALSE(*packet);
}

TEST_F(MessageSocketTest, CarriesTheLargestMessage) {
  const std::string bytes(MessageSocket::kMaxBytes, 'x');
  ASSERT_TRUE(supervisor_.Send(bytes));
  EXPECT_EQ(Received(other_).bytes, bytes);
}

TEST_F(MessageSocketTest, RefusesWhatIsTooLarge) {
  EXPECT_FALSE(supervisor_.Send(std::string(MessageSocket::kMaxBytes + 1, 'x')));
  EXPECT_FALSE(supervisor_.Send("x", std::vector<int>(MessageSocket::kMaxFds + 1, 0)));
  EXPECT_FALSE(*supervisor_.Receive());
}

TEST_F(MessageSocketTest, PassesDescriptorsInOrder) {
  int pipe_fds[2];
  ASSERT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
  const UniqueFd reader(pipe_fds[0]);
  const UniqueFd writer(pipe_fds[1]);
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(supervisor_.Send("fds", {null.get(), writer.get()}));
  const Packet packet = Received(other_);
  EXPECT_EQ(packet.bytes, "fds");
  ASSERT_EQ(packet.fds.size(), 2U);
  EXPECT_NE(packet.fds[1].get(), writer.get());
  EXPECT_EQ(Inode(packet.fds[0].get()), Inode(null.get()));
  EXPECT_TRUE(fcntl(packet.fds[1].get(), F_GETFD) & FD_CLOEXEC);
  ASSERT_EQ(write(packet.fds[1].get(), "x", 1), 1);
  char c = 0;
  EXPECT_EQ(read(reader.get(), &c, 1), 1);
  EXPECT_EQ(c, 'x');
}

TEST_F(MessageSocketTest, PassesTheMostDescriptors) {
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(supervisor_.Send("fds", std::vector<int>(MessageSocket::kMaxFds, null.get())));
  const Packet packet = Received(other_);
  ASSERT_EQ(packet.fds.size(), MessageSocket::kMaxFds);
  for (const UniqueFd& fd : packet.fds) EXPECT_EQ(Inode(fd.get()), Inode(null.get()));
}

TEST_F(MessageSocketTest, ReportsABadDescriptor) {
  EXPECT_EQ(supervisor_.Send("x", {-1}).error().message,
            "cannot send to another process: Bad file descriptor");
}

TEST_F(MessageSocketTest, ReportsTheEndAfterTheLastPacket) {
  ASSERT_TRUE(other_.Send("last words"));
  other_.Close();
  EXPECT_FALSE(other_);
  EXPECT_EQ(Received(supervisor_).bytes, "last words");
  const auto end = supervisor_.Receive();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().message, "closed");
}

TEST_F(MessageSocketTest, SendingToNobodyIsAnErrorAndNoSignal) {
  other_.Close();
  EXPECT_EQ(supervisor_.Send("x").error().message, "cannot send to another process: Broken pipe");
}

TEST_F(MessageSocketTest, AFullSocketDoesNotBlockTheSupervisor) {
  const std::string bytes(MessageSocket::kMaxBytes, 'x');
  Status sent;
  for (int i = 0; i < 1000 && sent; ++i) sent = supervisor_.Send(bytes);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().message,
            "cannot send to another process: Resource temporarily unavailable");
}

TEST_F(MessageSocketTest, WorksAcrossAFork) {
  const pid_t pid = fork();
  if (pid == 0) {
    supervisor_.Close();
    const auto packet = other_.Receive();  // waits: this end blocks
    const bool fine = packet && *packet && (*packet)->bytes == "go" && (*packet)->fds.size() == 1 &&
                      write((*packet)->fds[0].get(), "!", 1) == 1 && other_.Send("ready").ok();
    _exit(fine ? 0 : 1);
  }
  other_.Close();
  int pipe_fds[2];
  ASSERT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
  const UniqueFd reader(pipe_fds[0]);
  const UniqueFd writer(pipe_fds[1]);
  ASSERT_TRUE(supervisor_.Send("go", {writer.get()}));
  int status = -1;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  char c = 0;
  EXPECT_EQ(read(reader.get(), &c, 1), 1);
  EXPECT_EQ(Received(supervisor_).bytes, "ready");
  EXPECT_EQ(supervisor_.Receive().error().message, "closed");
}

}  // namespace
}  // namespace gunid
