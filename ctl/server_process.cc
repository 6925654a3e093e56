#include "ctl/server_process.h"

#include <poll.h>
#include <sys/syscall.h>

#include "gunid/control_paths.h"

namespace gunid {

namespace {

constexpr int kPatienceMs = 5000;

}  // namespace

ServerProcess::ServerProcess(const std::string& socket_path) {
  sockaddr_un address;
  ucred peer{};
  socklen_t size = sizeof peer;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  if (FillControlAddress(socket_path, &address) &&
      connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) {
    pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, peer.pid, 0));
  }
  close(fd);
}

ServerProcess::~ServerProcess() {
  if (pidfd_ >= 0) close(pidfd_);
}

void ServerProcess::WaitForEnd() const {
  if (pidfd_ < 0) return;
  pollfd process{pidfd_, POLLIN, 0};
  poll(&process, 1, kPatienceMs);
}

}  // namespace gunid
