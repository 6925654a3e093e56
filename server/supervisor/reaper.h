// Collects the exits of all children and gives each to whoever watches its pid. Supervisor's loop
// thread.
//
// A worker is forked by the zygote, so it may die before the zygote has named its pid: an exit that
// nobody watches is kept while such a fork is under way. Other unknown children are orphans of
// applications, adopted by the supervisor as their subreaper: they are only reaped.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>

#include "base/event_loop.h"

namespace gunid {

class Reaper {
 public:
  using ExitFunction = std::function<void(int status)>;  // as waitpid gives it

  explicit Reaper(EventLoop& loop) : loop_(loop) {}

  // Calls `on_exit` once when `pid` has exited, never from inside this call.
  void Watch(pid_t pid, ExitFunction on_exit);
  // Its exit is still collected, but nobody is told.
  void Forget(pid_t pid) { watched_.erase(pid); }
  // A child of this process that nobody watches: living, or its exit is unclaimed.
  [[nodiscard]] bool IsUnwatchedChild(pid_t pid) const;
  void ForkStarted() { ++forks_under_way_; }
  void ForkEnded();  // after Watch() of its pid, or when it failed

  // On SIGCHLD.
  void Reap();

 private:
  EventLoop& loop_;
  std::map<pid_t, ExitFunction> watched_;
  std::map<pid_t, int> unclaimed_;
  int forks_under_way_ = 0;
};

}  // namespace gunid
