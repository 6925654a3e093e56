#include "supervisor/file_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_directory.h"

namespace gunid {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr double kLimitSeconds = 10;

class FileWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    settings_.reload = true;
    settings_.reload_engine = "inotify";
    settings_.pythonpath = directory_.string();
  }

  std::string Write(const std::string& name, const std::string& text) {
    const auto path = directory_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }

  // Until something is told, or for the time that it would take.
  void Wait() {
    bool late = false;
    const auto limit = loop_.RunAfter(FromSeconds(kLimitSeconds), [&] { late = true; });
    while (changed_.empty() && !late) loop_.RunOnce();
    loop_.Cancel(limit);
  }

  const TemporaryDirectory temporary_;
  const std::filesystem::path directory_ = temporary_.path();
  Settings settings_;
  EventLoop loop_;
  std::vector<std::string> changed_;
  FileWatch watch_{loop_, [this](const std::string& path) { changed_.push_back(path); }};
};

TEST_F(FileWatchTest, TellsTheFirstOfSeveralChangesOnce) {
  watch_.Configure(settings_);
  const std::string first = Write("a.py", "one");
  Write("b.py", "one");
  Write("a.py", "two");
  Wait();
  EXPECT_THAT(changed_, ElementsAre(first));
}

TEST_F(FileWatchTest, SeesLoadedFilesAndWhatTheirLinksPointTo) {
  const std::string real = Write("real/module.txt", "one");
  std::filesystem::create_symlink(real, directory_ / "link.txt");
  watch_.Configure(settings_);
  watch_.AddFiles({(directory_ / "link.txt").string()});
  Write("real/module.txt", "two");
  Wait();
  EXPECT_THAT(changed_, ElementsAre(real));
}

TEST_F(FileWatchTest, SeesNewDirectories) {
  watch_.Configure(settings_);
  const std::string module = Write("package/inner/module.py", "");
  Wait();
  EXPECT_THAT(changed_, ElementsAre(module));
}

TEST_F(FileWatchTest, SeesADirectoryThatWasNotThere) {
  watch_.Configure(settings_);
  watch_.AddFiles({(directory_ / "hidden/.package/module.py").string()});
  const std::string module = Write("hidden/.package/module.py", "");
  Wait();
  EXPECT_THAT(changed_, ElementsAre(module));
}

TEST_F(FileWatchTest, IsOffWithoutReload) {
  watch_.Configure(settings_);
  settings_.reload = false;
  watch_.Configure(settings_);
  Write("a.py", "");
  const auto end = loop_.RunAfter(std::chrono::milliseconds(200), [this] { loop_.Stop(); });
  loop_.Run();
  loop_.Cancel(end);
  EXPECT_THAT(changed_, IsEmpty());
}

TEST_F(FileWatchTest, PollsWhereToldTo) {
  settings_.reload_engine = "poll";
  const std::string module = Write("a.py", "");
  watch_.Configure(settings_);
  // The first look may come after the first write.
  std::string text;
  const auto deadline = Clock().Now() + FromSeconds(kLimitSeconds);
  while (changed_.empty() && Clock().Now() < deadline) {
    Write("a.py", text += "#");
    loop_.RunOnce(std::chrono::milliseconds(100));
  }
  EXPECT_THAT(changed_, ElementsAre(module));
}

}  // namespace
}  // namespace gunid
