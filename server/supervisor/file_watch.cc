#include "supervisor/file_watch.h"

#include <spdlog/spdlog.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <utility>

#include "base/result.h"

namespace gunid {
namespace {

// A file counts when it has been written, not while it is; one that has gone is no change by itself:
// there is nothing to load.
constexpr std::uint32_t kMask =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::chrono::seconds kLookAgain(1);

std::string Absolute(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  std::string normal = (error ? std::filesystem::path(path) : absolute).lexically_normal().string();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

bool IsDirectory(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

std::vector<std::string> SplitByComma(const std::string& list) {
  std::vector<std::string> entries;
  for (std::size_t start = 0; start <= list.size();) {
    const auto comma = std::min(list.find(',', start), list.size());
    if (comma > start) entries.push_back(list.substr(start, comma - start));
    start = comma + 1;
  }
  return entries;
}

}  // namespace

FileWatch::~FileWatch() {
  Stop();
}

void FileWatch::Configure(const Settings& settings) {
  if (!settings.reload) return Stop();
  watched_.AddDirectory(Absolute("."));
  for (const std::string& entry : SplitByComma(settings.pythonpath)) {
    watched_.AddDirectory(Absolute(entry));
  }
  if (!settings.config.empty() && !settings.config.starts_with("python:")) {
    const bool prefixed = settings.config.starts_with("file:");
    watched_.AddFile(Absolute(prefixed ? settings.config.substr(5) : settings.config));
  }
  for (const std::string& file : settings.reload_extra_files) AddExtra(Absolute(file));
  if (!inotify_ && !poll_) Start(settings.reload_engine);
  Update();
}

void FileWatch::AddExtra(const std::string& file) {
  if (IsGlob(file)) {
    watched_.AddPattern(file);
  } else if (IsDirectory(file)) {
    watched_.AddPattern(file + "/**/*");
  } else {
    watched_.AddFile(file);
  }
}

void FileWatch::AddFiles(const std::vector<std::string>& files) {
  bool any = false;
  for (const std::string& file : files) {
    const std::string path = Absolute(file);
    if (!watched_.AddFile(path)) continue;
    any = true;
    // A change of what a link points to shows only there.
    std::error_code error;
    const auto real = std::filesystem::canonical(path, error);
    if (!error) watched_.AddFile(real.string());
  }
  if (any) Update();
}

void FileWatch::Start(const std::string& engine) {
  if (engine == "poll") {
    poll_.emplace(watched_,
                  [this](const std::string& path) { loop_.Post([this, path] { Changed(path); }); });
    return;
  }
  inotify_.Reset(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (inotify_ && loop_.Add(inotify_.get(), EPOLLIN, this)) return;
  const std::string why = Errno("inotify").message;
  inotify_.Reset();
  StartPolling(why);
}

void FileWatch::StartPolling(const std::string& why) {
  spdlog::warn("{}: --reload looks at each file once a second instead", why);
  StopInotify();
  Start("poll");
}

void FileWatch::StopInotify() {
  if (inotify_) loop_.Remove(inotify_.get(), this);
  inotify_.Reset();
  loop_.Cancel(lost_timer_);
  lost_timer_ = 0;
  watches_.clear();
  directories_.clear();
  lost_.clear();
}

void FileWatch::Stop() {
  StopInotify();
  poll_.reset();
  loop_.Cancel(quiet_timer_);
  quiet_timer_ = 0;
  debounce_ = {};
  watched_ = {};
}

void FileWatch::Update() {
  if (poll_) return poll_->Watch(watched_);
  for (const std::string& directory : watched_.directories()) {
    if (!inotify_) return;  // meanwhile it polls
    WatchDirectory(directory);
  }
  for (const std::string& pattern : watched_.patterns()) WatchTree(GlobBase(pattern));
}

void FileWatch::WatchDirectory(const std::string& directory) {
  if (!inotify_ || directories_.contains(directory) || lost_.contains(directory)) return;
  const int number = inotify_add_watch(inotify_.get(), directory.c_str(), kMask);
  if (number >= 0) {
    directories_.insert(directory);
    watches_[number].insert(directory);
  } else if (errno == ENOSPC) {
    StartPolling("the limit of inotify watches is reached (fs.inotify.max_user_watches)");
  } else {
    lost_.insert(directory);
    if (lost_timer_ == 0)
      lost_timer_ = loop_.RunAfter(kLookAgain, [this] { WatchLostDirectories(); });
  }
}

void FileWatch::WatchTree(const std::string& directory) {
  WatchDirectory(directory);
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (WatchedFiles::MayHold(entry->path().filename().string()) && entry->is_directory(ignored) &&
        !entry->is_symlink(ignored)) {
      WatchTree(entry->path().string());
    }
  }
}

void FileWatch::OnEvents(std::uint32_t /*events*/) {
  alignas(inotify_event) std::array<char, 16 * 1024> buffer;
  while (inotify_) {
    const ssize_t got = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (got <= 0) return;
    for (std::size_t at = 0; inotify_ && at < static_cast<std::size_t>(got);) {
      const auto& event = *reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += sizeof event + event.len;
      if (event.mask & IN_Q_OVERFLOW) {
        Changed("more files than can be told");
        continue;
      }
      const auto watch = watches_.find(event.wd);
      if (watch == watches_.end()) continue;
      const std::set<std::string> names = watch->second;
      const std::string name = event.len > 0 ? event.name : "";
      for (const std::string& directory : names) OnChange(directory, name, event.mask);
      if (event.mask & IN_MOVE_SELF) inotify_rm_watch(inotify_.get(), event.wd);
      if (event.mask & (IN_IGNORED | IN_MOVE_SELF)) watches_.erase(event.wd);
    }
  }
}

void FileWatch::OnChange(const std::string& directory, const std::string& name,
                         std::uint32_t mask) {
  if (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) {
    if (directories_.erase(directory) == 0) return;
    lost_.insert(directory);
    if (lost_timer_ == 0)
      lost_timer_ = loop_.RunAfter(kLookAgain, [this] { WatchLostDirectories(); });
  } else if (mask & IN_ISDIR) {
    if (WatchedFiles::MayHold(name))
      OnNewDirectory((std::filesystem::path(directory) / name).string());
  } else if (!(mask & IN_CREATE) && watched_.Matters(directory, name)) {
    Changed((std::filesystem::path(directory) / name).string());
  }
}

// It may be a package: with files in it that were there before the watch.
void FileWatch::OnNewDirectory(const std::string& directory) {
  lost_.erase(directory);
  watched_.AddDirectory(directory);
  WatchDirectory(directory);
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (entry->is_directory(ignored)) {
      if (WatchedFiles::MayHold(name) && !entry->is_symlink(ignored)) {
        OnNewDirectory(entry->path().string());
      }
    } else if (watched_.Matters(directory, name)) {
      Changed(entry->path().string());
    }
  }
}

void FileWatch::WatchLostDirectories() {
  lost_timer_ = 0;
  for (const std::string& directory : std::exchange(lost_, {})) {
    WatchDirectory(directory);
    if (directories_.contains(directory)) OnNewDirectory(directory);
  }
}

void FileWatch::Changed(const std::string& path) {
  if (!inotify_ && !poll_) return;  // posted before it was switched off
  debounce_.Changed(path, Clock().Now());
  loop_.Cancel(quiet_timer_);
  quiet_timer_ = loop_.RunAt(*debounce_.due(), [this] { Settle(); });
}

void FileWatch::Settle() {
  quiet_timer_ = 0;
  if (const auto path = debounce_.Take(Clock().Now())) changed_(*path);
}

}  // namespace gunid
