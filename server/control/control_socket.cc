#include "control/control_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "gunid/control_paths.h"

namespace gunid {

namespace {

constexpr int kBacklog = 128;
constexpr auto kLockPatience = std::chrono::seconds(3);

std::string Subject(const std::string& path) {
  return "control socket " + path;
}

// Makes sure that nobody else can put a socket of his own into the default directory.
Status PrepareDirectory(const std::string& directory) {
  const bool system = directory == kSystemControlDirectory;
  if (mkdir(directory.c_str(), system ? 0755 : 0700) != 0 && errno != EEXIST) {
    return Errno("make the directory " + directory + " for the control socket");
  }
  struct stat info;
  if (lstat(directory.c_str(), &info) != 0) return Errno(directory);
  if (!S_ISDIR(info.st_mode)) return Error{directory + " is not a directory"};
  if (info.st_uid != geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Error{directory + " must belong to this user and be writable by nobody else"};
  }
  return {};
}

// Two servers that start or stop at once take turns by a lock on the directory: unlike a lock file
// it leaves nothing behind. It is held only while the path is looked at and changed.
Result<UniqueFd> LockDirectory(const std::string& directory) {
  UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return Errno("directory of the control socket " + directory);
  const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return Errno("lock " + directory);
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error{"directory of the control socket " + directory +
                   " stays locked by another process"};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return fd;
}

// Leaves the path free, or says who has it. The directory is locked.
Status RemoveStale(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? Status() : Status(Errno(Subject(path)));
  }
  if (!S_ISSOCK(info.st_mode))
    return Error{Subject(path) + ": the file exists and is not a socket"};
  const int probe = ProbeControlSocket(path);
  if (probe == 0) {
    return Error{Subject(path) +
                 " is in use by a running gunid; choose another --name or --control-socket"};
  }
  if (probe != ECONNREFUSED && probe != ENOENT) return Errno(Subject(path), probe);
  if (unlink(path.c_str()) != 0 && errno != ENOENT)
    return Errno("remove the stale " + Subject(path));
  return {};
}

std::string DirectoryOf(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

}  // namespace

std::string ControlSocketPath(const Settings& settings) {
  if (!settings.control_socket.empty()) {
    std::error_code ignored;
    const auto path = std::filesystem::absolute(settings.control_socket, ignored);
    return ignored ? settings.control_socket : path.string();
  }
  std::string name = settings.proc_name;
  if (name.empty() && !settings.bind.empty()) name = settings.bind.front();
  return ControlSocketFile(ControlDirectories().front(), name);
}

Result<ControlSocket> ControlSocket::Open(const std::string& path) {
  sockaddr_un address;
  if (!FillControlAddress(path, &address)) return Errno(Subject(path));

  const std::string directory = DirectoryOf(path);
  if (directory == ControlDirectories().front()) {
    if (Status prepared = PrepareDirectory(directory); !prepared) return prepared.error();
  }
  Result<UniqueFd> lock = LockDirectory(directory);
  if (!lock) return lock.error();
  if (Status removed = RemoveStale(path); !removed) return removed.error();

  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  struct stat info;
  // The mode that the socket has when it is bound becomes that of the file: there is no moment with
  // a wider one.
  if (!fd || fchmod(fd.get(), 0600) != 0 ||
      bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return Errno(Subject(path));
  }
  if (listen(fd.get(), kBacklog) != 0 || lstat(path.c_str(), &info) != 0) {
    const int reason = errno;
    unlink(path.c_str());
    return Errno(Subject(path), reason);
  }
  return ControlSocket(path, std::move(fd), info.st_dev, info.st_ino);
}

ControlSocket::~ControlSocket() {
  if (!fd_) return;
  // While fd_ is open the kernel keeps our inode, so another file cannot have got its number.
  const Result<UniqueFd> lock = LockDirectory(DirectoryOf(path_));
  struct stat info;
  if (lock.ok() && lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ &&
      info.st_ino == inode_) {
    unlink(path_.c_str());
  }
}

}  // namespace gunid
