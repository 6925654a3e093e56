#include "ctl/instances.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "ctl/fake_server.h"
#include "gunid/exit_codes.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

class InstancesTest : public testing::Test {
 protected:
  // A server that was killed leaves its socket behind; so does this one.
  void LeaveStaleSocket(const std::string& name) { FakeServer(directory_.File(name), ""); }

  TemporaryDirectory directory_;
  const std::vector<std::string> directories_ = {"/nonexistent", directory_.path()};
};

TEST_F(InstancesTest, NoneIsSaidInOneLine) {
  LeaveStaleSocket("stale.sock");
  const SocketChoice choice = ChooseSocket("", "", directories_);
  EXPECT_EQ(choice.socket, "");
  EXPECT_EQ(choice.exit_code, ctl_exit::kCannotConnect);
  EXPECT_EQ(choice.error, "no running gunid found in /nonexistent, " + directory_.path());
}

TEST_F(InstancesTest, TheOnlyRunningOneIsMeant) {
  LeaveStaleSocket("stale.sock");
  std::ofstream(directory_.File("file.sock")) << "no socket";
  const FakeServer other_file(directory_.File("app.socket"), "");
  const FakeServer server(directory_.File("shop.sock"), "");
  EXPECT_EQ(ChooseSocket("", "", directories_).socket, directory_.File("shop.sock"));
}

TEST_F(InstancesTest, SeveralAreListed) {
  const FakeServer shop(directory_.File("shop.sock"), "");
  const FakeServer blog(directory_.File("blog.sock"), "");
  const SocketChoice choice = ChooseSocket("", "", directories_);
  EXPECT_EQ(choice.socket, "");
  EXPECT_EQ(choice.exit_code, ctl_exit::kUsage);
  EXPECT_EQ(choice.error,
            "several servers are running; choose one by --name or --socket:\n  blog  " +
                directory_.File("blog.sock") + "\n  shop  " + directory_.File("shop.sock"));
  EXPECT_EQ(ChooseSocket("", "blog", directories_).socket, directory_.File("blog.sock"));
}

TEST_F(InstancesTest, ANameIsFoundAsGunidWroteIt) {
  const FakeServer server(directory_.File("127.0.0.1-8000.sock"), "");
  EXPECT_EQ(ChooseSocket("", "127.0.0.1:8000", directories_).socket,
            directory_.File("127.0.0.1-8000.sock"));
  const SocketChoice other = ChooseSocket("", "shop", directories_);
  EXPECT_EQ(other.exit_code, ctl_exit::kCannotConnect);
  EXPECT_EQ(other.error, "no running gunid named shop found in /nonexistent, " + directory_.path());
}

TEST_F(InstancesTest, AGivenSocketIsTakenAsItIs) {
  EXPECT_EQ(ChooseSocket("/run/x.sock", "", directories_).socket, "/run/x.sock");
  EXPECT_EQ(ChooseSocket("x.sock", "", directories_).socket,
            std::filesystem::current_path().string() + "/x.sock");
}

TEST_F(InstancesTest, ADirectoryThatOthersMayWriteToIsNotTrusted) {
  const FakeServer server(directory_.File("shop.sock"), "");
  std::filesystem::permissions(directory_.path(), std::filesystem::perms::all);
  EXPECT_TRUE(FindInstances(directories_).empty());
  const std::string link = directory_.path() + "-link";
  std::filesystem::permissions(directory_.path(), std::filesystem::perms::owner_all);
  std::filesystem::create_directory_symlink(directory_.path(), link);
  EXPECT_TRUE(FindInstances({link}).empty());
  std::filesystem::remove(link);
  EXPECT_EQ(FindInstances(directories_).size(), 1U);
}

}  // namespace
}  // namespace gunid
