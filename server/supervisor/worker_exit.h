// How a worker's process has ended, as far as the pool has to know.
#pragma once

#include <string>
#include <utility>

namespace gunid {

struct WorkerExit {
  WorkerExit(std::string how) : text(std::move(how)) {}  // NOLINT: a text alone is one
  WorkerExit(const char* how) : text(how) {}             // NOLINT

  std::string text;  // as DescribeExit
  bool signaled = false;
  bool killed = false;         // by SIGKILL
  bool out_of_memory = false;  // and that by the kernel, for want of memory
};

}  // namespace gunid
