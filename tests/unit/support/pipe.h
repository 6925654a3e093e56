// A pipe whose ends close with it.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace gunid {

struct Pipe {
  Pipe() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) == 0) {
      reader.Reset(fds[0]);
      writer.Reset(fds[1]);
    }
  }

  UniqueFd reader;
  UniqueFd writer;
};

}  // namespace gunid
