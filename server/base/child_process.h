// Starting a program (posix_spawn: safe in a process that has threads) and saying how one ended.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace gunid {

struct ChildProcess {
  std::string program;                 // path of the executable
  std::vector<std::string> arguments;  // argv, with argv[0]
  std::string directory;               // working directory; "" keeps the parent's
  std::vector<std::pair<int, int>>
      fds;  // {parent's descriptor, number in the child}; all others are close-on-exec
  std::vector<std::string> environment;  // "NAME=value" beside the parent's
  sigset_t signal_mask{};                // the child's
};

// Returns the pid. The child gets default signal actions and a new process group of its own, so
// that a terminal's Ctrl-C reaches only the supervisor, which then tells the others.
Result<pid_t> Spawn(const ChildProcess& child);

// Assignments of the environment of this process, with those of `added` in front, which count where a
// name is there twice; for exec.
std::vector<std::string> EnvironmentWith(const std::vector<std::string>& added);

// "exited with code 3", "was killed by SIGSEGV". `status` as from waitpid.
std::string DescribeExit(int status);

// "SIGSEGV", or "signal 40" for one that has no name.
std::string SignalName(int signal);

}  // namespace gunid
