// --reload: sees that a file of the application has changed, and tells it once it has been quiet for
// a moment. By inotify on the directories of the files (editors save by renaming), or by
// supervisor/file_poll. Which changes matter is decided by supervisor/watched_files. Supervisor's loop
// thread; owned by the supervisor.
//
// States: off <-> inotify -> poll; off <-> poll. What is watched stays watched until it is off.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "config/settings.h"
#include "supervisor/file_poll.h"
#include "supervisor/watched_files.h"

namespace gunid {

class FileWatch : public EventHandler {
 public:
  // `changed` gets the path of the first file that changed.
  FileWatch(EventLoop& loop, std::function<void(const std::string& path)> changed)
      : loop_(loop), changed_(std::move(changed)) {}
  ~FileWatch() override;
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // By the settings of the serving generation: reload, reload_engine, reload_extra_files, config,
  // pythonpath. Relative paths are relative to the working directory.
  void Configure(const Settings& settings);
  // Those that the application has loaded, or that are to blame for a failure.
  void AddFiles(const std::vector<std::string>& files);
  [[nodiscard]] const std::set<std::string>& files() const { return watched_.files(); }

 private:
  void Start(const std::string& engine);
  void Stop();
  void StartPolling(const std::string& why);
  void StopInotify();
  void AddExtra(const std::string& file);
  // Watches what has come to be watched since the last call.
  void Update();
  void WatchDirectory(const std::string& directory);
  void WatchTree(const std::string& directory);
  void OnEvents(std::uint32_t events) override;
  void OnChange(const std::string& directory, const std::string& name, std::uint32_t mask);
  void OnNewDirectory(const std::string& directory);
  void WatchLostDirectories();
  void Changed(const std::string& path);
  void Settle();

  EventLoop& loop_;
  const std::function<void(const std::string& path)> changed_;
  WatchedFiles watched_;
  ChangeDebounce debounce_;
  EventLoop::TimerId quiet_timer_ = 0;

  UniqueFd inotify_;
  std::map<int, std::set<std::string>> watches_;  // by inotify's number: one may have several names
  std::set<std::string> directories_;             // in watches_
  std::set<std::string> lost_;                    // removed, or not there yet
  EventLoop::TimerId lost_timer_ = 0;
  std::optional<FilePoll> poll_;
};

}  // namespace gunid
