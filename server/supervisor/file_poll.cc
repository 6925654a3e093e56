#include "supervisor/file_poll.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

namespace gunid {
namespace {

constexpr std::chrono::seconds kPeriod(1);

}  // namespace

std::vector<std::string> FileSnapshot::Look(const WatchedFiles& watched) {
  Scan scan;
  for (const std::string& file : watched.files()) LookAtFile(file, scan);
  for (const std::string& directory : watched.directories()) {
    LookAtDirectory(directory, watched, false, scan);
  }
  for (const std::string& pattern : watched.patterns()) {
    scan.trees.insert(GlobBase(pattern));
    LookAtDirectory(GlobBase(pattern), watched, true, scan);
  }

  std::vector<std::string> changed;
  for (const auto& [path, stamp] : scan.files) {
    const auto before = last_.files.find(path);
    if (before != last_.files.end()) {
      if (before->second != stamp) changed.push_back(path);
      continue;
    }
    const bool just_listed = watched.files().contains(path) && !listed_.contains(path);
    if (!just_listed && last_.Covers(path)) changed.push_back(path);
  }
  // A file that is replaced in two steps is compared with what it was before.
  for (const auto& [path, stamp] : last_.files) {
    if (watched.files().contains(path)) scan.files.try_emplace(path, stamp);
  }
  last_ = std::move(scan);
  listed_ = watched.files();
  return changed;
}

// It would have been found at that look if it had been there.
bool FileSnapshot::Scan::Covers(const std::string& path) const {
  const auto name = path.rfind('/');
  if (directories.contains(path.substr(0, std::max<std::size_t>(name, 1)))) return true;
  return std::ranges::any_of(trees, [&](const std::string& tree) {
    return path.starts_with(tree) && (tree == "/" || path[tree.size()] == '/');
  });
}

void FileSnapshot::LookAtFile(const std::string& path, Scan& scan) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  scan.files[path] = {status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_size, status.st_ino};
}

void FileSnapshot::LookAtDirectory(const std::string& path, const WatchedFiles& watched, bool below,
                                   Scan& scan) {
  scan.directories.insert(path);
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (watched.Matters(path, name)) {
      LookAtFile(entry->path().string(), scan);
    } else if (below && WatchedFiles::MayHold(name) && entry->is_directory(ignored) &&
               !entry->is_symlink(ignored)) {
      LookAtDirectory(entry->path().string(), watched, true, scan);
    }
  }
}

FilePoll::FilePoll(WatchedFiles watched, std::function<void(const std::string& path)> changed)
    : changed_(std::move(changed)), watched_(std::move(watched)) {
  thread_.emplace([this] { Run(); });
}

FilePoll::~FilePoll() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_wanted_.notify_one();
  thread_.reset();
}

void FilePoll::Watch(WatchedFiles watched) {
  const std::lock_guard lock(mutex_);
  watched_ = std::move(watched);
}

void FilePoll::Run() {
  FileSnapshot snapshot;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const WatchedFiles watched = watched_;
    lock.unlock();
    for (const std::string& path : snapshot.Look(watched)) changed_(path);
    lock.lock();
    stop_wanted_.wait_for(lock, kPeriod, [this] { return stopping_; });
  }
}

}  // namespace gunid
