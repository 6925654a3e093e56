#include "base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <filesystem>

#include "support/file_contents.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

class LogTest : public testing::Test {
 protected:
  ~LogTest() override { EXPECT_TRUE(OpenLog("-", "info")); }

  TemporaryDirectory directory_;
  std::string path_ = directory_.File("error.log");
};

TEST_F(LogTest, WritesGunicornsLines) {
  ASSERT_TRUE(OpenLog(path_, "info"));
  spdlog::info("hello {}", 1);
  spdlog::warn("careful");
  const std::string time = "\\[....-..-.. ..:..:.. .[0-9]+:?[0-9]+\\] ";
  const std::string pid = "\\[" + std::to_string(getpid()) + "\\] ";
  EXPECT_THAT(FileContents(path_), MatchesRegex(time + pid + "\\[INFO\\] hello 1\n" + time + pid +
                                                "\\[WARNING\\] careful\n"));
}

TEST_F(LogTest, LeavesOutWhatIsBelowTheLevel) {
  for (const std::string level : {"debug", "info", "warning", "error", "critical"}) {
    ASSERT_TRUE(OpenLog(directory_.File(level), level));
    spdlog::debug("[debug]");
    spdlog::info("[info]");
    spdlog::warn("[warning]");
    spdlog::error("[error]");
    spdlog::critical("[critical]");
    bool reached = false;
    for (const std::string at : {"debug", "info", "warning", "error", "critical"}) {
      reached = reached || at == level;
      EXPECT_EQ(FileContents(directory_.File(level)).find("[" + at + "]") != std::string::npos,
                reached)
          << at << " at level " << level;
    }
  }
}

TEST_F(LogTest, ReopensAFileThatWasRotated) {
  ASSERT_TRUE(OpenLog(path_, "info"));
  const int fd = LogFd();
  spdlog::info("before");
  std::filesystem::rename(path_, path_ + ".1");
  spdlog::info("still the old file");
  ASSERT_TRUE(ReopenLog());
  spdlog::info("after");
  EXPECT_EQ(LogFd(), fd);
  EXPECT_THAT(FileContents(path_ + ".1"), HasSubstr("still the old file"));
  EXPECT_THAT(FileContents(path_), HasSubstr("after"));
  EXPECT_THAT(FileContents(path_), Not(HasSubstr("before")));
}

TEST_F(LogTest, AnotherFileKeepsTheDescriptor) {
  ASSERT_TRUE(OpenLog(path_, "info"));
  const int fd = LogFd();
  ASSERT_TRUE(OpenLog(path_ + ".other", "info"));
  EXPECT_EQ(LogFd(), fd);
  EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  spdlog::info("there");
  EXPECT_EQ(FileContents(path_), "");
  EXPECT_THAT(FileContents(path_ + ".other"), HasSubstr("there"));
}

TEST_F(LogTest, StaysAsItWasWhenAFileCannotBeOpened) {
  ASSERT_TRUE(OpenLog(path_, "info"));
  const Status failed = OpenLog(directory_.File("missing/error.log"), "info");
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("cannot open log file"));
  EXPECT_THAT(failed.error().message, HasSubstr("No such file or directory"));
  spdlog::info("goes on");
  EXPECT_THAT(FileContents(path_), HasSubstr("goes on"));
}

TEST_F(LogTest, FailedReopenKeepsTheOldFile) {
  std::filesystem::create_directory(directory_.File("logs"));
  ASSERT_TRUE(OpenLog(directory_.File("logs/error.log"), "info"));
  std::filesystem::rename(directory_.File("logs"), directory_.File("moved"));
  EXPECT_FALSE(ReopenLog());
  spdlog::info("not lost");
  EXPECT_THAT(FileContents(directory_.File("moved/error.log")), HasSubstr("not lost"));
}

TEST_F(LogTest, GoesBackToStandardError) {
  ASSERT_TRUE(OpenLog(path_, "info"));
  const int fd = LogFd();
  testing::internal::CaptureStderr();
  ASSERT_TRUE(OpenLog("-", "info"));
  EXPECT_EQ(LogFd(), fd) << "its number stays";
  EXPECT_TRUE(ReopenLog());
  spdlog::info("to the terminal");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("[INFO] to the terminal\n"));
  EXPECT_EQ(FileContents(path_), "");
}

}  // namespace
}  // namespace gunid
