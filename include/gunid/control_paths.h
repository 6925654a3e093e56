// Where control sockets live, so that gunictl finds what gunid made: DIRECTORY/NAME.sock, in the
// first of ControlDirectories() unless gunid is told another path. Both programs, any thread.
#pragma once

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace gunid {

inline constexpr std::string_view kControlSocketSuffix = ".sock";
inline constexpr std::string_view kSystemControlDirectory = "/run/gunid";

// The name of an instance as part of a file name, made of --name or of a bind address:
// "127.0.0.1:8000" -> "127.0.0.1-8000", "unix:/run/app.sock" -> "run-app.sock".
inline std::string ControlSocketName(std::string_view text) {
  for (std::string_view scheme : {"unix:", "tcp://"}) {
    if (text.starts_with(scheme)) text.remove_prefix(scheme.size());
  }
  std::string name;
  for (char c : text) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
    if (kept && !(name.empty() && (c == '.' || c == '-'))) {
      name += c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "gunid" : name;
}

// gunid makes its socket in the first; gunictl looks into all. $XDG_RUNTIME_DIR counts only if it
// is the user's own: su and sudo may leave that of another user behind.
inline std::vector<std::string> ControlDirectories() {
  const std::string system(kSystemControlDirectory);
  const uid_t uid = geteuid();
  if (uid == 0) return {system};
  std::vector<std::string> directories;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  struct stat info;
  if (runtime != nullptr && runtime[0] == '/' && stat(runtime, &info) == 0 && info.st_uid == uid) {
    directories.push_back(std::string(runtime) + "/gunid");
  }
  directories.push_back("/tmp/gunid-" + std::to_string(uid));
  directories.push_back(system);
  return directories;
}

inline std::string ControlSocketFile(const std::string& directory, std::string_view name) {
  return directory + "/" + ControlSocketName(name) + std::string(kControlSocketSuffix);
}

// False with ENAMETOOLONG in errno if the kernel could not take the path.
inline bool FillControlAddress(const std::string& path, sockaddr_un* address) {
  *address = {};
  address->sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address->sun_path) {
    errno = ENAMETOOLONG;
    return false;
  }
  std::memcpy(address->sun_path, path.data(), path.size());
  return true;
}

// Connects once without blocking: 0 if a server listens there, else errno. ECONNREFUSED tells of a
// stale socket.
inline int ProbeControlSocket(const std::string& path) {
  sockaddr_un address;
  if (!FillControlAddress(path, &address)) return errno;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  const bool connected = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  const int error = connected ? 0 : errno;
  close(fd);
  return error == EAGAIN ? 0 : error;  // EAGAIN: it listens, but its backlog is full
}

}  // namespace gunid
