// What workers write to their standard error: each has a pipe for it, and one thread writes all that
// comes out of the pipes to the supervisor's own standard error, as it is. The end of it is kept, to be
// shown when the worker has crashed. Owned by the supervisor.
//
// A pipe lives until its last writer has closed it, which may be a child of the application long after
// the worker. Where nobody reads the supervisor's standard error, workers wait as if it were theirs.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/background_thread.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace gunid {

// For the program that takes the supervisor's place.
struct ErrorPipeState {
  int worker = 0;
  int fd = -1;  // the end that is read
};

class ErrorRelay {
 public:
  static constexpr std::size_t kTailBytes = 4096;

  // `output`: a descriptor that outlives it.
  explicit ErrorRelay(int output);
  // Writes what the pipes still hold; gives up when nobody takes it.
  ~ErrorRelay();
  ErrorRelay(const ErrorRelay&) = delete;
  ErrorRelay& operator=(const ErrorRelay&) = delete;

  // From here on the loop's thread.

  // The end that the worker writes to.
  Result<UniqueFd> Open(int worker);
  // What it has written last, until now.
  std::string Tail(int worker);
  // The tail is not wanted any more.
  void Forget(int worker);

  // Begins to read, and stops when all that was read is written.
  void Start();
  void Stop();
  // While it is stopped.
  [[nodiscard]] std::vector<ErrorPipeState> ToState() const;
  void Adopt(const std::vector<ErrorPipeState>& pipes);

 private:
  struct Pipe {
    UniqueFd fd;
    std::string tail;
    bool forgotten = false;
  };

  void Add(int worker, UniqueFd fd);
  // With mutex_ held. False at the end of the pipe.
  bool Read(Pipe& pipe);
  void Run();  // the thread
  void ReadReady(int wait_ms);
  void ReadAll();
  bool WriteQueued();
  bool WaitForRoom() const;
  void Wake() const;

  const int output_;
  const bool output_is_pipe_;
  UniqueFd epoll_;
  UniqueFd wake_;  // eventfd
  std::optional<BackgroundThread> thread_;

  mutable std::mutex mutex_;
  std::map<int, Pipe> pipes_;  // guarded by mutex_; by worker
  TimePoint give_up_at_{};     // guarded by mutex_: while it stops
  std::string queue_;          // guarded by mutex_: read, and not written yet
  bool stopping_ = false;      // guarded by mutex_
};

}  // namespace gunid
