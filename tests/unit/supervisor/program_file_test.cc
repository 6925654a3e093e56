#include "supervisor/program_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "support/temporary_directory.h"

namespace gunid {
namespace {

namespace fs = std::filesystem;

TEST(ProgramFile, IsRunByItsNameUntilAnotherFileHasIt) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("program");
  std::ofstream(path) << "old";
  const auto file = ProgramFile::Open(path, path);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->PathToRun(), path);

  fs::remove(path);
  const std::string by_number = "/proc/self/fd/" + std::to_string(file->fd());
  EXPECT_EQ(file->PathToRun(), by_number);
  std::ofstream(path) << "new";
  EXPECT_EQ(file->PathToRun(), by_number);
  std::string text;
  std::ifstream(by_number) >> text;
  EXPECT_EQ(text, "old");
}

TEST(ProgramFile, OneThatIsNotThereIsAnError) {
  const auto file = ProgramFile::Open("/nonexistent/program", "/nonexistent/program");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().message,
            "cannot open the program /nonexistent/program: No such file or directory");
}

TEST(ProgramFile, TheRunningOneKeepsTheNameThatItWasStartedBy) {
  const TemporaryDirectory directory;
  const std::string own = fs::read_symlink("/proc/self/exe");
  const std::string link = directory.File("link");
  fs::create_symlink(own, link);
  EXPECT_EQ(ProgramFile::Running(link)->path(), link);
  // Found by PATH, as a shell would.
  const char* const path = std::getenv("PATH");
  const std::string before = path != nullptr ? path : "";
  setenv("PATH", ("/nonexistent:" + fs::path(link).parent_path().string()).c_str(), 1);
  EXPECT_EQ(ProgramFile::Running("link")->path(), link);
  // A name that says nothing, as argv[0] may.
  EXPECT_EQ(ProgramFile::Running("my server")->path(), own);
  setenv("PATH", before.c_str(), 1);
}

}  // namespace
}  // namespace gunid
