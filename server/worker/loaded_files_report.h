// With --reload: tells the supervisor which files the application was loaded from, and while it serves
// looks once a second for modules that were imported since. In a worker; in a zygote that preloads
// it only sends once.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/background_thread.h"
#include "ipc/message_socket.h"
#include "python/loaded_files.h"

namespace gunid {

class LoadedFilesReport {
 public:
  // `channel` to the supervisor outlives it.
  explicit LoadedFilesReport(MessageSocket& channel) : channel_(channel) {}
  // Not with the GIL if it was started: the thread may be waiting for it.
  ~LoadedFilesReport();
  LoadedFilesReport(const LoadedFilesReport&) = delete;
  LoadedFilesReport& operator=(const LoadedFilesReport&) = delete;

  // GIL held; not after Start().
  void Send();
  // From now on a thread of its own sends what is new.
  void Start();

 private:
  void Run();

  MessageSocket& channel_;
  LoadedFiles loaded_;
  std::mutex mutex_;
  std::condition_variable stop_wanted_;
  bool stopping_ = false;  // guarded by mutex_
  std::optional<BackgroundThread> thread_;
};

}  // namespace gunid
