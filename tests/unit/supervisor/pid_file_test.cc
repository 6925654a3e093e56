#include "supervisor/pid_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace gunid {
namespace {

class PidFileTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/gunid-pid-XXXXXX";
    directory = mkdtemp(name);
    path = directory / "gunid.pid";
  }
  void TearDown() override { std::filesystem::remove_all(directory); }
  [[nodiscard]] int Read() const {
    int pid = 0;
    std::ifstream(path) >> pid;
    return pid;
  }

  std::filesystem::path directory;
  std::filesystem::path path;
};

TEST_F(PidFileTest, NamesThisProcessUntilItIsDestroyed) {
  {
    PidFile file;
    ASSERT_TRUE(file.Write(path));
    EXPECT_EQ(Read(), getpid());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(PidFileTest, RefusesTheFileOfALivingProcess) {
  std::ofstream(path) << getppid();
  PidFile file;
  const Status written = file.Write(path);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().message,
            "pidfile " + path.string() + ": process " + std::to_string(getppid()) + " is running");
  EXPECT_EQ(Read(), getppid());
}

TEST_F(PidFileTest, ReplacesAStaleOneAndLeavesOneThatIsNoLongerOurs) {
  std::ofstream(path) << 999999999;
  {
    PidFile file;
    ASSERT_TRUE(file.Write(path));
    std::ofstream(path) << 12345;
  }
  EXPECT_EQ(Read(), 12345);
}

TEST_F(PidFileTest, FollowsNoLinkThatSomebodyHasPutThere) {
  const std::filesystem::path other = directory / "other";
  std::ofstream(other) << "precious";
  std::filesystem::create_symlink(other, path.string() + "." + std::to_string(getpid()));
  PidFile file;
  ASSERT_TRUE(file.Write(path));
  EXPECT_EQ(Read(), getpid());
  std::string left;
  std::ifstream(other) >> left;
  EXPECT_EQ(left, "precious");
}

TEST_F(PidFileTest, AnUnwritableDirectoryIsNamed) {
  PidFile file;
  const std::string missing = (directory / "none" / "x.pid").string();
  const Status written = file.Write(missing);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().message,
            "cannot write pidfile " + missing + ": No such file or directory");
}

}  // namespace
}  // namespace gunid
