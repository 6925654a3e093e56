#include "ipc/listeners.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_directory.h"

namespace gunid {
namespace {

using Family = ListenerAddress::Family;
using testing::EndsWith;
using testing::HasSubstr;

constexpr int kBacklog = 16;

std::string Parsed(const std::string& bind) {
  const auto address = ParseBind(bind);
  return address ? address->ToString() : address.error().message;
}

TEST(ParseBind, TakesHostsAndPorts) {
  EXPECT_EQ(Parsed("127.0.0.1:80"), "http://127.0.0.1:80");
  EXPECT_EQ(Parsed("127.0.0.1"), "http://127.0.0.1:8000");
  EXPECT_EQ(Parsed(":80"), "http://0.0.0.0:80");
  EXPECT_EQ(Parsed("0.0.0.0:0"), "http://0.0.0.0:0");
  EXPECT_EQ(Parsed("tcp://127.0.0.1:80"), "http://127.0.0.1:80");
  EXPECT_EQ(Parsed("[::1]:80"), "http://[::1]:80");
  EXPECT_EQ(Parsed("[::]"), "http://[::]:8000");
  EXPECT_EQ(Parsed("tcp://[::1]:80"), "http://[::1]:80");
}

TEST(ParseBind, FillsInAllMembers) {
  EXPECT_EQ(*ParseBind("[::1]:80"),
            (ListenerAddress{.family = Family::kIpv6, .host = "::1", .port = 80}));
  EXPECT_EQ(*ParseBind("127.0.0.1"),
            (ListenerAddress{.family = Family::kIpv4, .host = "127.0.0.1", .port = 8000}));
  EXPECT_EQ(*ParseBind("unix:/run/app.sock"),
            (ListenerAddress{.family = Family::kUnix, .path = "/run/app.sock"}));
}

TEST(ParseBind, TakesUnixPaths) {
  EXPECT_EQ(Parsed("unix:/run/app.sock"), "unix:/run/app.sock");
  EXPECT_EQ(Parsed("unix:///run/app.sock"), "unix:/run/app.sock");
  EXPECT_EQ(Parsed("unix:app.sock"), "unix:app.sock");
  EXPECT_EQ(Parsed("unix:@app"), "unix:@app");
}

TEST(ParseBind, PrefersIpv4ForAName) {
  EXPECT_EQ(Parsed("localhost:80"), "http://127.0.0.1:80");
}

TEST(ParseBind, SaysWhatIsWrong) {
  EXPECT_EQ(Parsed(""), "invalid bind address '': it is empty");
  EXPECT_EQ(Parsed("localhost:http"),
            "invalid bind address 'localhost:http': 'http' is not a port number");
  EXPECT_EQ(Parsed("127.0.0.1:65536"),
            "invalid bind address '127.0.0.1:65536': '65536' is not a port number");
  EXPECT_THAT(Parsed("127.0.0.1:-1"), EndsWith("'-1' is not a port number"));
  EXPECT_THAT(Parsed("127.0.0.1:"), EndsWith("'' is not a port number"));
  EXPECT_THAT(Parsed("8000"), EndsWith("write :8000"));
  EXPECT_THAT(Parsed("::1"), EndsWith("an IPv6 address needs brackets, [::1]:8000"));
  EXPECT_THAT(Parsed("[::1"), EndsWith("there is no ] for the ["));
  EXPECT_THAT(Parsed("[::1]80"), EndsWith("a port after ] needs a colon"));
  EXPECT_THAT(Parsed("unix:"), EndsWith("the path is empty"));
}

TEST(ParseBind, NamesTheResolversError) {
  EXPECT_THAT(Parsed("no such host:80"),
              testing::StartsWith("invalid bind address 'no such host:80': "));
  EXPECT_THAT(Parsed("[nonsense]:80"),
              testing::StartsWith("invalid bind address '[nonsense]:80': "));
}

ListenerAddress Loopback(int port) {
  return {.family = Family::kIpv4, .host = "127.0.0.1", .port = port};
}

int SocketOption(int fd, int level, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  getsockopt(fd, level, option, &value, &size);
  return value;
}

TEST(OpenListener, TellsThePortThatTheKernelChose) {
  const auto listener = OpenListener(Loopback(0), kBacklog, 0);
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_GT(listener->address.port, 0);
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<std::uint16_t>(listener->address.port));
  peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&peer), sizeof peer), 0);
  const UniqueFd accepted(accept4(listener->fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(accepted);
}

TEST(OpenListener, IsNonBlockingAndCloseOnExec) {
  const auto listener = OpenListener(Loopback(0), kBacklog, 0);
  ASSERT_TRUE(listener);
  EXPECT_TRUE(fcntl(listener->fd.get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(fcntl(listener->fd.get(), F_GETFD) & FD_CLOEXEC);
  EXPECT_EQ(SocketOption(listener->fd.get(), SOL_SOCKET, SO_REUSEADDR), 1);
  EXPECT_EQ(SocketOption(listener->fd.get(), SOL_SOCKET, SO_ACCEPTCONN), 1);
}

TEST(OpenListener, NamesAnAddressInUse) {
  const auto first = OpenListener(Loopback(0), kBacklog, 0);
  ASSERT_TRUE(first);
  const auto second = OpenListener(first->address, kBacklog, 0);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message,
            "cannot listen on 127.0.0.1:" + std::to_string(first->address.port) +
                ": Address already in use");
  EXPECT_EQ(second.error().exit_code, 1);
}

TEST(OpenListener, NamesAnAddressOfAnotherMachine) {
  const auto listener = OpenListener({.host = "192.0.2.1", .port = 8000}, kBacklog, 0);
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().message,
            "cannot listen on 192.0.2.1:8000: Cannot assign requested address");
}

TEST(OpenListener, RefusesAHostThatIsNoNumber) {
  const auto listener = OpenListener({.host = "localhost", .port = 0}, kBacklog, 0);
  ASSERT_FALSE(listener);
  EXPECT_THAT(listener.error().message, HasSubstr("cannot listen on localhost:0: "));
}

TEST(OpenListener, Ipv6LeavesThePortOfIpv4Free) {
  const auto six = OpenListener({.family = Family::kIpv6, .host = "::1", .port = 0}, kBacklog, 0);
  if (!six) GTEST_SKIP() << six.error().message;
  EXPECT_EQ(SocketOption(six->fd.get(), IPPROTO_IPV6, IPV6_V6ONLY), 1);
  EXPECT_GT(six->address.port, 0);
}

class OpenUnixListener : public testing::Test {
 protected:
  [[nodiscard]] Result<Listener> Open(int umask = 0) const {
    return OpenListener(address_, kBacklog, umask);
  }
  [[nodiscard]] std::string Expected(const std::string& reason) const {
    return "cannot listen on unix:" + path_ + ": " + reason;
  }
  [[nodiscard]] mode_t Mode() const {
    struct stat status {};
    EXPECT_EQ(lstat(path_.c_str(), &status), 0);
    EXPECT_TRUE(S_ISSOCK(status.st_mode));
    return status.st_mode & 0777;
  }
  [[nodiscard]] bool CanConnect() const {
    sockaddr_un peer{};
    peer.sun_family = AF_UNIX;
    path_.copy(peer.sun_path, sizeof peer.sun_path - 1);
    const UniqueFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connect(client.get(), reinterpret_cast<sockaddr*>(&peer), sizeof peer) == 0;
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_.File("app.sock");
  ListenerAddress address_{.family = Family::kUnix, .path = path_};
};

TEST_F(OpenUnixListener, Listens) {
  const auto listener = Open();
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_EQ(listener->address, address_);
  EXPECT_TRUE(CanConnect());
}

TEST_F(OpenUnixListener, OnlyTheSettingDecidesTheMode) {
  for (const int umask : {0, 0177, 022}) {
    const mode_t before = ::umask(027);
    const auto listener = Open(umask);
    ::umask(before);
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_EQ(Mode(), static_cast<mode_t>(0777 & ~umask));
  }
}

TEST_F(OpenUnixListener, ReplacesAStaleSocket) {
  { const auto dead = Open(); }
  ASSERT_TRUE(std::filesystem::exists(path_));
  ASSERT_FALSE(CanConnect());
  const auto listener = Open();
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_TRUE(CanConnect());
}

TEST_F(OpenUnixListener, NeverStealsFromALivingServer) {
  const auto living = Open();
  ASSERT_TRUE(living);
  const auto second = Open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, Expected("Address already in use"));
  EXPECT_TRUE(CanConnect());
}

TEST_F(OpenUnixListener, NeverStealsFromABusyServer) {
  const auto living = OpenListener(address_, 0, 0);
  ASSERT_TRUE(living);
  ASSERT_TRUE(CanConnect());  // fills the backlog
  const auto second = Open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, Expected("Address already in use"));
}

TEST_F(OpenUnixListener, NeverRemovesWhatIsNoSocket) {
  std::ofstream(path_) << "precious";
  const auto listener = Open();
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().message, Expected("the path exists and is not a socket"));
  EXPECT_EQ(std::filesystem::file_size(path_), 8U);
}

TEST_F(OpenUnixListener, NeverFollowsALink) {
  std::filesystem::create_symlink(directory_.File("elsewhere"), path_);
  EXPECT_EQ(Open().error().message, Expected("the path exists and is not a socket"));
}

TEST_F(OpenUnixListener, LeavesADatagramSocketAlone) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path_.copy(name.sun_path, sizeof name.sun_path - 1);
  const UniqueFd datagram(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(datagram.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  EXPECT_FALSE(Open());
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(OpenUnixListener, NamesAMissingDirectory) {
  address_.path = path_ = directory_.File("missing/app.sock");
  EXPECT_EQ(Open().error().message, Expected("No such file or directory"));
}

TEST_F(OpenUnixListener, NamesAPathThatIsTooLong) {
  address_.path = path_ = "/" + std::string(107, 'x');
  EXPECT_EQ(Open().error().message, Expected("the path is longer than 107 bytes"));
  address_.path = path_ = std::string(10'000, 'x');
  EXPECT_EQ(Open().error().message, Expected("the path is longer than 107 bytes"));
}

TEST_F(OpenUnixListener, TakesTheLongestPath) {
  const std::string directory = directory_.path() + "/";
  address_.path = path_ = directory + std::string(107 - directory.size(), 'x');
  const auto listener = Open();
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_EQ(Mode(), 0777U);
}

TEST_F(OpenUnixListener, AbstractNamesLeaveNoFile) {
  const auto address = ParseBind("unix:@gunid-test-" + std::to_string(getpid()));
  ASSERT_TRUE(address);
  {
    const auto listener = OpenListener(*address, kBacklog, 0);
    ASSERT_TRUE(listener) << listener.error().message;
    sockaddr_un bound{};
    socklen_t size = sizeof bound;
    ASSERT_EQ(getsockname(listener->fd.get(), reinterpret_cast<sockaddr*>(&bound), &size), 0);
    EXPECT_EQ(bound.sun_path[0], '\0');
    EXPECT_EQ(std::string(bound.sun_path + 1, size - offsetof(sockaddr_un, sun_path) - 1),
              address->path.substr(1));
    const auto second = OpenListener(*address, kBacklog, 0);
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error().message, EndsWith("Address already in use"));
  }
  EXPECT_TRUE(OpenListener(*address, kBacklog, 0));
}

}  // namespace
}  // namespace gunid
