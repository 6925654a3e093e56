#include "supervisor/watched_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gunid {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(MatchesGlob, MatchesWithinNames) {
  EXPECT_TRUE(MatchesGlob("/a/*.html", "/a/x.html"));
  EXPECT_TRUE(MatchesGlob("/a/?.[ch]", "/a/x.c"));
  EXPECT_TRUE(MatchesGlob("/*/x", "/a/x"));
  EXPECT_FALSE(MatchesGlob("/a/*.html", "/a/b/x.html"));
  EXPECT_FALSE(MatchesGlob("/a/*.html", "/a/x.txt"));
  EXPECT_FALSE(MatchesGlob("/a/*.html", "/a/.x.html"));
  EXPECT_FALSE(MatchesGlob("/a/*.html", "/a"));
  EXPECT_FALSE(MatchesGlob("/a", "/a/b"));
}

TEST(MatchesGlob, TwoStarsAreAnyDirectories) {
  EXPECT_TRUE(MatchesGlob("/a/**/*.html", "/a/x.html"));
  EXPECT_TRUE(MatchesGlob("/a/**/*.html", "/a/b/c/x.html"));
  EXPECT_TRUE(MatchesGlob("/a/**/c/*.html", "/a/b/c/x.html"));
  EXPECT_TRUE(MatchesGlob("/a/**", "/a/b/c"));
  EXPECT_FALSE(MatchesGlob("/a/**/*.html", "/b/x.html"));
  EXPECT_FALSE(MatchesGlob("/a/**/*.html", "/a/.git/x.html"));
  EXPECT_FALSE(MatchesGlob("/a/**/c/*.html", "/a/b/x.html"));
}

TEST(GlobBase, IsTheDirectoryBeforeTheFirstWildcard) {
  EXPECT_EQ(GlobBase("/a/b/*.html"), "/a/b");
  EXPECT_EQ(GlobBase("/a/b*/c/d"), "/a");
  EXPECT_EQ(GlobBase("/*"), "/");
}

TEST(FilesInTraceback, NamesFilesAndNothingElse) {
  EXPECT_THAT(FilesInTraceback("Traceback (most recent call last):\n"
                               "  File \"<frozen importlib._bootstrap>\", line 1, in load\n"
                               "  File \"/srv/app.py\", line 3, in <module>\n"
                               "    import words\n"
                               "  File \"/srv/words.py\", line 1\n"
                               "    GREETING = 'one\n"
                               "SyntaxError: unterminated string literal"),
              ElementsAre("/srv/app.py", "/srv/words.py"));
  EXPECT_THAT(FilesInTraceback(""), IsEmpty());
  EXPECT_THAT(FilesInTraceback("File \""), IsEmpty());
  EXPECT_THAT(FilesInTraceback("File \"/cut\n"), IsEmpty());
}

TEST(WatchedFiles, PythonFilesBesideAModuleMatter) {
  WatchedFiles watched;
  EXPECT_TRUE(watched.AddFile("/srv/pkg/app.py"));
  EXPECT_FALSE(watched.AddFile("/srv/pkg/app.py"));
  EXPECT_THAT(watched.directories(), ElementsAre("/srv/pkg"));
  EXPECT_TRUE(watched.Matters("/srv/pkg", "app.py"));
  EXPECT_TRUE(watched.Matters("/srv/pkg", "new.py"));
  EXPECT_FALSE(watched.Matters("/srv/pkg", "data.json"));
  EXPECT_FALSE(watched.Matters("/srv", "app.py"));
}

TEST(WatchedFiles, FilesMatterWhateverTheirName) {
  WatchedFiles watched;
  watched.AddFile("/srv/.env");
  watched.AddFile("/srv/fast.so");
  EXPECT_TRUE(watched.Matters("/srv", ".env"));
  EXPECT_TRUE(watched.Matters("/srv", "fast.so"));
  EXPECT_FALSE(watched.Matters("/srv", "slow.so"));
}

TEST(WatchedFiles, FilesInTheRootDirectory) {
  WatchedFiles watched;
  watched.AddFile("/app.py");
  EXPECT_TRUE(watched.Matters("/", "app.py"));
  EXPECT_TRUE(watched.Matters("/", "other.py"));
}

TEST(WatchedFiles, EditorsOwnFilesDoNotMatter) {
  WatchedFiles watched;
  watched.AddDirectory("/srv");
  watched.AddPattern("/srv/**/*");
  for (const char* name : {".app.py.swp", ".#app.py", "#app.py#", "app.py~", "flycheck_app.py"}) {
    EXPECT_FALSE(watched.Matters("/srv", name)) << name;
  }
  EXPECT_FALSE(WatchedFiles::MayHold("__pycache__"));
  EXPECT_FALSE(WatchedFiles::MayHold(".git"));
  EXPECT_TRUE(WatchedFiles::MayHold("templates"));
}

TEST(WatchedFiles, PatternsMatter) {
  WatchedFiles watched;
  watched.AddPattern("/srv/templates/**/*.html");
  EXPECT_TRUE(watched.Matters("/srv/templates/a/b", "page.html"));
  EXPECT_FALSE(watched.Matters("/srv/templates/a/b", "page.css"));
}

TEST(ChangeDebounce, ChangesAreOneUntilItIsQuiet) {
  ChangeDebounce debounce;
  const TimePoint start(std::chrono::seconds(10));
  EXPECT_FALSE(debounce.due());
  EXPECT_FALSE(debounce.Take(start));

  debounce.Changed("/first", start);
  debounce.Changed("/second", start + milliseconds(40));
  EXPECT_EQ(debounce.due(), start + milliseconds(90));
  EXPECT_FALSE(debounce.Take(start + milliseconds(89)));
  EXPECT_EQ(debounce.Take(start + milliseconds(90)), "/first");

  EXPECT_FALSE(debounce.due());
  EXPECT_FALSE(debounce.Take(start + milliseconds(200)));
  debounce.Changed("/third", start + milliseconds(300));
  EXPECT_EQ(debounce.Take(start + milliseconds(350)), "/third");
}

TEST(ChangeDebounce, ChangesWithoutEndAreNotWaitedFor) {
  ChangeDebounce debounce;
  const TimePoint start(std::chrono::seconds(10));
  for (int i = 0; i < 50; ++i) debounce.Changed("/busy", start + milliseconds(20 * i));
  EXPECT_EQ(debounce.due(), start + std::chrono::seconds(1));
  EXPECT_EQ(debounce.Take(start + std::chrono::seconds(1)), "/busy");
}

}  // namespace
}  // namespace gunid
