#include "base/log_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/file_contents.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

using testing::HasSubstr;

void Write(const LogFile& log, std::string_view text) {
  ASSERT_EQ(write(log.fd(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

class LogFileTest : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  std::string path_ = directory_.File("access.log");
  LogFile log_{STDOUT_FILENO};
};

TEST_F(LogFileTest, HasNoDescriptorBeforeItIsOpened) {
  EXPECT_EQ(log_.fd(), -1);
}

TEST_F(LogFileTest, AppendsToWhatIsThere) {
  std::ofstream(path_) << "before\n";
  ASSERT_TRUE(log_.Open(path_));
  LogFile other(STDOUT_FILENO);
  ASSERT_TRUE(other.Open(path_));
  Write(log_, "one\n");
  Write(other, "two\n");
  Write(log_, "three\n");
  EXPECT_EQ(FileContents(path_), "before\none\ntwo\nthree\n");
}

TEST_F(LogFileTest, KeepsItsDescriptorAndGivesItToNoOtherProgram) {
  ASSERT_TRUE(log_.Open(path_));
  const int fd = log_.fd();
  for (const std::string& path : {directory_.File("other"), std::string("-"), path_}) {
    ASSERT_TRUE(log_.Open(path));
    EXPECT_EQ(log_.fd(), fd);
    EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC) << path;
    EXPECT_GT(fd, STDERR_FILENO);
  }
}

TEST_F(LogFileTest, ReopensWhatWasRotatedAway) {
  ASSERT_TRUE(log_.Open(path_));
  std::filesystem::rename(path_, path_ + ".1");
  Write(log_, "old\n");
  ASSERT_TRUE(log_.Reopen());
  Write(log_, "new\n");
  EXPECT_EQ(FileContents(path_ + ".1"), "old\n");
  EXPECT_EQ(FileContents(path_), "new\n");
}

TEST_F(LogFileTest, StaysWhereItWasWhenAnotherCannotBeOpened) {
  ASSERT_TRUE(log_.Open(path_));
  const Status failed = log_.Open(directory_.File("missing/access.log"));
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("cannot open log file"));
  EXPECT_EQ(failed.error().exit_code, 1);
  Write(log_, "goes on\n");
  std::filesystem::remove(path_);
  ASSERT_TRUE(log_.Reopen()) << "the path is still the first";
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(LogFileTest, StandsForTheStreamThatItWasMadeFor) {
  testing::internal::CaptureStdout();
  ASSERT_TRUE(log_.Open("-"));
  ASSERT_TRUE(log_.Reopen());
  Write(log_, "to standard output\n");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "to standard output\n");
}

TEST_F(LogFileTest, IsGivenToItsOwnerOnlyWhereNoLinkLeadsToIt) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  constexpr uid_t kOwner = 65534;
  const std::filesystem::path home = directory_.File("home");
  std::filesystem::create_directory(home);
  std::filesystem::create_directory_symlink(home, directory_.File("link"));
  const Account owner{.uid = kOwner, .gid = kOwner, .name = "", .initgroups = false};
  struct Row {
    std::string path;
    bool given;
  };
  for (const Row& row :
       {Row{home / "plain.log", true}, Row{directory_.File("link/led.log"), false}}) {
    EXPECT_TRUE(log_.Open(row.path, owner));
    struct stat info {};
    EXPECT_EQ(stat(row.path.c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, row.given ? kOwner : 0U) << row.path;
  }
}

}  // namespace
}  // namespace gunid
