// --reload-engine poll: looks at all watched files once a second, on a thread of its own, because a
// network file system may take its time or never answer. Owned by FileWatch; what changed is posted
// to the supervisor's loop.
#pragma once

#include <condition_variable>
#include <ctime>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "base/background_thread.h"
#include "supervisor/watched_files.h"

namespace gunid {

// One look at the files, and what is different from the last. Any thread, one at a time.
class FileSnapshot {
 public:
  // The changed files: other contents than at the last look, or new where was looked then. What has vanished is no change: there is nothing to load.
  std::vector<std::string> Look(const WatchedFiles& watched);

 private:
  struct Stamp {
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    std::int64_t size = 0;
    std::uint64_t inode = 0;
    bool operator==(const Stamp&) const = default;
  };
  struct Scan {
    std::map<std::string, Stamp> files;
    std::set<std::string> directories;
    std::set<std::string> trees;  // the directories whose subdirectories were looked at, too

    [[nodiscard]] bool Covers(const std::string& path) const;
  };

  static void LookAtFile(const std::string& path, Scan& scan);
  static void LookAtDirectory(const std::string& path, const WatchedFiles& watched, bool below,
                              Scan& scan);

  Scan last_;
  std::set<std::string> listed_;  // WatchedFiles::files() of the last look
};

class FilePoll {
 public:
  // `changed` is called on the polling thread.
  FilePoll(WatchedFiles watched, std::function<void(const std::string& path)> changed);
  ~FilePoll();
  FilePoll(const FilePoll&) = delete;
  FilePoll& operator=(const FilePoll&) = delete;

  // From the next look on.
  void Watch(WatchedFiles watched);

 private:
  void Run();

  const std::function<void(const std::string& path)> changed_;
  std::mutex mutex_;
  std::condition_variable stop_wanted_;
  WatchedFiles watched_;   // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::optional<BackgroundThread> thread_;
};

}  // namespace gunid
