// Which changes of files matter to --reload, and when they are answered. Pure: knows paths and
// times, and no file. Supervisor's loop thread; a copy goes to supervisor/file_poll.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace gunid {

// As a shell: * ? [...] within a name, not for a leading dot; ** for any number of directories.
bool MatchesGlob(std::string_view pattern, std::string_view path);
bool IsGlob(std::string_view pattern);
// The directory below which everything lies that the pattern can match.
std::string GlobBase(std::string_view pattern);

// Names that editors and Python give to files of their own: .app.py.swp, app.py~, __pycache__.
bool IsTemporaryName(std::string_view name);

// Of a Python traceback, or of a SyntaxError: those that it names, innermost last.
std::vector<std::string> FilesInTraceback(std::string_view traceback);

// All paths are absolute.
class WatchedFiles {
 public:
  // A module's, or the configuration file: it matters, and so does each *.py beside it. False: known.
  bool AddFile(const std::string& path);
  // Each *.py in it matters.
  bool AddDirectory(const std::string& path);
  void AddPattern(const std::string& pattern) { patterns_.insert(pattern); }

  [[nodiscard]] bool Matters(const std::string& directory, const std::string& name) const;
  // A new directory `name` is to be watched, too: packages appear, and trees below a pattern grow.
  [[nodiscard]] static bool MayHold(const std::string& name) { return !IsTemporaryName(name); }

  [[nodiscard]] const std::set<std::string>& files() const { return files_; }
  [[nodiscard]] const std::set<std::string>& directories() const { return directories_; }
  [[nodiscard]] const std::set<std::string>& patterns() const { return patterns_; }

 private:
  std::set<std::string> files_;
  std::set<std::string> directories_;
  std::set<std::string> patterns_;
};

// Many changes in a row are one: an editor writes, renames and removes, a checkout changes a
// hundred files.
class ChangeDebounce {
 public:
  static constexpr std::chrono::milliseconds kQuiet{50};
  static constexpr std::chrono::seconds kLongest{1};  // also if it does not get quiet

  void Changed(const std::string& path, TimePoint now);
  // When Take() has something, if nothing more changes until then.
  [[nodiscard]] std::optional<TimePoint> due() const;
  // The first of the changed files, once it has been quiet; then starts anew.
  std::optional<std::string> Take(TimePoint now);

 private:
  std::string path_;  // of the first change
  std::optional<TimePoint> first_;
  TimePoint last_{};
};

}  // namespace gunid
