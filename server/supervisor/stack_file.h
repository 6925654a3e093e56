// A file in memory to which one process writes its Python stacks (kStackFd in
// ipc/spawn_protocol.h). Supervisor's loop thread.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace gunid {

class StackFile {
 public:
  // Close-on-exec, and open for appending: what is written after Empty() starts the file anew.
  static Result<StackFile> Create();

  StackFile() = default;
  // One that Create() has made.
  explicit StackFile(UniqueFd fd) : fd_(std::move(fd)) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  void Empty() const;
  [[nodiscard]] std::size_t Size() const;  // bytes
  // The start of it, if there is more than any dump can be.
  [[nodiscard]] std::string Read() const;

 private:
  UniqueFd fd_;
};

}  // namespace gunid
