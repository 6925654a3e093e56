// The listening Unix socket of the control API: made for the owner only, never stolen from a
// running instance, and removed on close if it is still ours. Supervisor process; owned by
// ControlServer.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "config/settings.h"
#include "supervisor/command.h"

namespace gunid {

// The absolute path that the settings ask for, or the default path of the instance.
std::string ControlSocketPath(const Settings& settings);

class ControlSocket {
 public:
  // Binds with mode 0600 and listens. A stale socket at `path` is replaced; that of a running
  // server, and anything that is no socket, is an error. The directory is made only if it is the
  // default one.
  static Result<ControlSocket> Open(const std::string& path);

  // One that another program in this process has opened.
  explicit ControlSocket(const ControlSocketState& state)
      : ControlSocket(state.path, UniqueFd(state.fd), state.device, state.inode) {}
  [[nodiscard]] ControlSocketState ToState() const { return {path_, fd_.get(), device_, inode_}; }

  ControlSocket(ControlSocket&& other) noexcept = default;
  ControlSocket& operator=(ControlSocket&&) = delete;
  ~ControlSocket();

  [[nodiscard]] int fd() const { return fd_.get(); }  // non-blocking, close-on-exec

 private:
  ControlSocket(std::string path, UniqueFd fd, dev_t device, ino_t inode)
      : path_(std::move(path)), fd_(std::move(fd)), device_(device), inode_(inode) {}

  std::string path_;
  UniqueFd fd_;
  dev_t device_;
  ino_t inode_;
};

}  // namespace gunid
