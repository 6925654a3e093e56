// The process behind a control socket, for `gunictl stop`, which returns when it has ended.
#pragma once

#include <string>

namespace gunid {

class ServerProcess {
 public:
  // Finds the process that listens on the socket (SO_PEERCRED); none is found where nobody does.
  explicit ServerProcess(const std::string& socket_path);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // Blocks until the process has ended: at most a few seconds, because the server answers when its
  // workers are gone.
  void WaitForEnd() const;

 private:
  int pidfd_ = -1;
};

}  // namespace gunid
