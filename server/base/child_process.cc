#include "base/child_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/unique_fd.h"

namespace gunid {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Copies whose numbers are above those that the child wants: a source that has the number of
// another's target would be overwritten before its turn. None where the number stays as it is.
Result<std::vector<UniqueFd>> CopyAboveTargets(const std::vector<std::pair<int, int>>& fds) {
  int lowest = STDERR_FILENO + 1;
  for (const auto& [from, to] : fds) lowest = std::max(lowest, to + 1);
  std::vector<UniqueFd> copies;
  for (const auto& [from, to] : fds) {
    copies.emplace_back(from == to ? -1 : fcntl(from, F_DUPFD_CLOEXEC, lowest));
    if (!copies.back() && from != to)
      return Errno("cannot pass descriptor " + std::to_string(from) + " to a child");
  }
  return copies;
}

}  // namespace

Result<pid_t> Spawn(const ChildProcess& child) {
  if (!child.directory.empty() && access(child.directory.c_str(), X_OK) != 0) {
    return Errno("chdir " + child.directory);
  }
  const auto sources = CopyAboveTargets(child.fds);
  if (!sources) return sources.error();
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);

  if (!child.directory.empty()) {
    posix_spawn_file_actions_addchdir_np(&actions, child.directory.c_str());
  }
  for (std::size_t i = 0; i < sources->size(); ++i) {
    const auto& [from, to] = child.fds[i];
    // Onto itself: it is kept open across exec, in the child alone.
    const UniqueFd& copy = (*sources)[i];
    posix_spawn_file_actions_adddup2(&actions, copy ? copy.get() : from, to);
  }

  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &child.signal_mask);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);

  const std::vector<std::string> environment = EnvironmentWith(child.environment);
  pid_t pid = -1;
  const int failed = posix_spawn(&pid, child.program.c_str(), &actions, &attributes,
                                 Pointers(child.arguments).data(), Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return Errno("cannot start " + child.program, failed);
  return pid;
}

std::vector<std::string> EnvironmentWith(const std::vector<std::string>& added) {
  std::vector<std::string> environment = added;
  for (char** assignment = environ; *assignment != nullptr; ++assignment) {
    environment.emplace_back(*assignment);
  }
  return environment;
}

std::string DescribeExit(int status) {
  if (WIFSIGNALED(status)) return "was killed by " + SignalName(WTERMSIG(status));
  return "exited with code " + std::to_string(WEXITSTATUS(status));
}

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(signal);
}

}  // namespace gunid
