#include "supervisor/file_poll.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_directory.h"

namespace gunid {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class FileSnapshotTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) {
    const auto path = std::filesystem::path(directory_) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }

  const TemporaryDirectory temporary_;
  const std::string directory_ = temporary_.path();
  WatchedFiles watched_;
  FileSnapshot snapshot_;
};

TEST_F(FileSnapshotTest, TheFirstLookChangesNothing) {
  watched_.AddFile(Write("app.py", "one"));
  EXPECT_THAT(snapshot_.Look(watched_), IsEmpty());
  EXPECT_THAT(snapshot_.Look(watched_), IsEmpty());
}

TEST_F(FileSnapshotTest, SeesChangedAndNewFiles) {
  const std::string app = Write("app.py", "one");
  watched_.AddFile(app);
  snapshot_.Look(watched_);
  Write("app.py", "longer");
  EXPECT_THAT(snapshot_.Look(watched_), ElementsAre(app));
  const std::string fresh = Write("fresh.py", "");
  Write("notes.txt", "");
  EXPECT_THAT(snapshot_.Look(watched_), ElementsAre(fresh));
  EXPECT_THAT(snapshot_.Look(watched_), IsEmpty());
}

TEST_F(FileSnapshotTest, SeesAReplacementOfTheSameSize) {
  const std::string app = Write("app.py", "one");
  watched_.AddFile(app);
  snapshot_.Look(watched_);
  std::filesystem::rename(Write("draft", "two"), app);
  EXPECT_THAT(snapshot_.Look(watched_), ElementsAre(app));
}

TEST_F(FileSnapshotTest, AFileThatIsGoneIsNoChangeUntilItIsBack) {
  const std::string app = Write("app.py", "one");
  watched_.AddFile(app);
  snapshot_.Look(watched_);
  std::filesystem::remove(app);
  EXPECT_THAT(snapshot_.Look(watched_), IsEmpty());
  Write("app.py", "back again");
  EXPECT_THAT(snapshot_.Look(watched_), ElementsAre(app));
}

TEST_F(FileSnapshotTest, WhatComesToBeWatchedHasNotChanged) {
  watched_.AddFile(Write("app.py", ""));
  const std::string library = Write("fast.so", "");
  const std::string elsewhere = Write("other/module.py", "");
  snapshot_.Look(watched_);
  watched_.AddFile(library);
  watched_.AddFile(elsewhere);
  EXPECT_THAT(snapshot_.Look(watched_), IsEmpty());
}

TEST_F(FileSnapshotTest, LooksBelowPatterns) {
  const std::string page = Write("templates/deep/page.html", "one");
  watched_.AddPattern(directory_ + "/templates/**/*.html");
  EXPECT_THAT(snapshot_.Look(watched_), IsEmpty());
  Write("templates/deep/page.html", "longer");
  Write("templates/deep/page.css", "");
  EXPECT_THAT(snapshot_.Look(watched_), ElementsAre(page));
  const std::string other = Write("templates/new/one/other.html", "");
  EXPECT_THAT(snapshot_.Look(watched_), ElementsAre(other));
}

}  // namespace
}  // namespace gunid
