#include "supervisor/reaper.h"

#include <sys/wait.h>

#include <utility>

namespace gunid {

void Reaper::Watch(pid_t pid, ExitFunction on_exit) {
  const auto exited = unclaimed_.find(pid);
  if (exited == unclaimed_.end()) {
    watched_.insert_or_assign(pid, std::move(on_exit));
    return;
  }
  loop_.Post([on_exit = std::move(on_exit), status = exited->second] { on_exit(status); });
  unclaimed_.erase(exited);
}

bool Reaper::IsUnwatchedChild(pid_t pid) const {
  if (pid <= 0 || watched_.contains(pid)) return false;
  siginfo_t info{};
  return unclaimed_.contains(pid) ||
         waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

void Reaper::ForkEnded() {
  // With no fork under way an unclaimed exit belongs to a stranger, and its pid may be used again.
  if (--forks_under_way_ == 0) unclaimed_.clear();
}

void Reaper::Reap() {
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto watched = watched_.find(pid);
    if (watched != watched_.end()) {
      const ExitFunction on_exit = std::move(watched->second);
      watched_.erase(watched);
      on_exit(status);
    } else if (forks_under_way_ > 0) {
      unclaimed_.insert_or_assign(pid, status);
    }
  }
}

}  // namespace gunid
