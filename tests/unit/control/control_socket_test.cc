#include "control/control_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "gunid/control_paths.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

class ControlSocketTest : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("app.sock");
};

// What a killed server leaves behind.
void LeaveStaleSocket(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address;
  ASSERT_TRUE(FillControlAddress(path, &address));
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
}

TEST(ControlSocketName, IsAFileNameMadeOfNameOrAddress) {
  const struct {
    const char* text;
    const char* name;
  } cases[] = {
      {"127.0.0.1:8000", "127.0.0.1-8000"},
      {"unix:/run/app.sock", "run-app.sock"},
      {"tcp://0.0.0.0:80", "0.0.0.0-80"},
      {"[::1]:8000", "1-8000"},
      {":8000", "8000"},
      {"my_shop", "my_shop"},
      {"../../etc/passwd", "etc-passwd"},
      {"..", "gunid"},
      {"", "gunid"},
      {"a b\n\x1b[31m/c", "a-b-31m-c"},
  };
  for (const auto& test : cases) EXPECT_EQ(ControlSocketName(test.text), test.name) << test.text;
}

TEST(ControlSocketPath, PrefersTheSettingThenTheNameThenTheAddress) {
  const std::string directory = ControlDirectories().front();
  Settings settings;
  settings.bind = {"127.0.0.1:9000", "127.0.0.1:9001"};
  EXPECT_EQ(ControlSocketPath(settings), directory + "/127.0.0.1-9000.sock");
  settings.proc_name = "shop";
  EXPECT_EQ(ControlSocketPath(settings), directory + "/shop.sock");
  settings.control_socket = "/srv/control.sock";
  EXPECT_EQ(ControlSocketPath(settings), "/srv/control.sock");
  settings.control_socket = "control.sock";
  EXPECT_EQ(ControlSocketPath(settings).front(), '/');
}

TEST_F(ControlSocketTest, IsForTheOwnerOnlyWhateverTheUmask) {
  const mode_t before = umask(0);
  const auto socket = ControlSocket::Open(path_);
  umask(before);
  ASSERT_TRUE(socket.ok()) << socket.error().message;
  struct stat info;
  ASSERT_EQ(lstat(path_.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  EXPECT_EQ(ProbeControlSocket(path_), 0);
}

TEST_F(ControlSocketTest, IsRemovedOnClose) {
  { const auto socket = ControlSocket::Open(path_); }
  EXPECT_EQ(ProbeControlSocket(path_), ENOENT);
}

TEST_F(ControlSocketTest, IsNotStolenFromARunningServer) {
  const auto first = ControlSocket::Open(path_);
  ASSERT_TRUE(first.ok());
  const auto second = ControlSocket::Open(path_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().message, "control socket " + path_ +
                                        " is in use by a running gunid; choose another --name or "
                                        "--control-socket");
  EXPECT_EQ(ProbeControlSocket(path_), 0);
}

TEST_F(ControlSocketTest, ReplacesAStaleSocket) {
  LeaveStaleSocket(path_);
  ASSERT_EQ(ProbeControlSocket(path_), ECONNREFUSED);
  const auto socket = ControlSocket::Open(path_);
  ASSERT_TRUE(socket.ok()) << socket.error().message;
  EXPECT_EQ(ProbeControlSocket(path_), 0);
}

TEST_F(ControlSocketTest, RemovesNothingThatIsNoSocket) {
  std::ofstream(path_) << "precious";
  const auto socket = ControlSocket::Open(path_);
  ASSERT_FALSE(socket.ok());
  EXPECT_EQ(socket.error().message,
            "control socket " + path_ + ": the file exists and is not a socket");
  EXPECT_EQ(std::filesystem::file_size(path_), 8U);
}

TEST_F(ControlSocketTest, DoesNotFollowASymlink) {
  const std::string target = directory_.File("target");
  std::ofstream(target) << "precious";
  std::filesystem::create_symlink(target, path_);
  EXPECT_FALSE(ControlSocket::Open(path_).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(path_));
  EXPECT_TRUE(std::filesystem::exists(target));
}

TEST_F(ControlSocketTest, LeavesThePathToASuccessor) {
  auto first = std::make_unique<Result<ControlSocket>>(ControlSocket::Open(path_));
  ASSERT_TRUE(first->ok());
  std::filesystem::remove(path_);
  const auto second = ControlSocket::Open(path_);
  ASSERT_TRUE(second.ok());
  first.reset();
  EXPECT_EQ(ProbeControlSocket(path_), 0);
}

TEST_F(ControlSocketTest, OneOfManyThatStartAtOnceWins) {
  for (int round = 0; round < 20; ++round) {
    LeaveStaleSocket(path_);
    std::atomic<int> won = 0;
    std::atomic<int> ready = 0;
    std::vector<std::unique_ptr<Result<ControlSocket>>> sockets(4);
    {
      std::vector<std::jthread> threads;
      for (auto& socket : sockets) {
        threads.emplace_back([&] {
          ++ready;
          while (ready < 4) std::this_thread::yield();
          socket = std::make_unique<Result<ControlSocket>>(ControlSocket::Open(path_));
          if (socket->ok()) ++won;
        });
      }
    }
    EXPECT_EQ(won, 1);
    EXPECT_EQ(ProbeControlSocket(path_), 0);
  }
}

TEST_F(ControlSocketTest, SaysWhatIsWrongWithThePath) {
  const auto too_long = ControlSocket::Open(directory_.File(std::string(200, 'x')));
  ASSERT_FALSE(too_long.ok());
  EXPECT_NE(too_long.error().message.find("File name too long"), std::string::npos);
  const auto no_directory = ControlSocket::Open(directory_.File("none/app.sock"));
  ASSERT_FALSE(no_directory.ok());
  EXPECT_NE(no_directory.error().message.find("No such file or directory"), std::string::npos);
}

}  // namespace
}  // namespace gunid
