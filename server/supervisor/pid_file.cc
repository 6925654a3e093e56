#include "supervisor/pid_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"

namespace gunid {
namespace {

// The pid in the file; 0 if there is no file, or no number in it.
pid_t ReadPid(const std::string& path) {
  pid_t pid = 0;
  std::ifstream(path) >> pid;
  return pid;
}

bool IsAlive(pid_t pid) {
  return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

}  // namespace

PidFile::~PidFile() {
  if (!path_.empty() && ReadPid(path_) == getpid()) unlink(path_.c_str());
}

Status PidFile::Write(const std::string& path) {
  const pid_t other = ReadPid(path);
  if (other != getpid() && IsAlive(other)) {
    return Error{"pidfile " + path + ": process " + std::to_string(other) + " is running"};
  }
  // Written beside and renamed, so that a reader never sees half of it.
  const std::string temporary = path + "." + std::to_string(getpid());
  // What has that name already was left behind, or is a trap.
  unlink(temporary.c_str());
  UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd) return Errno("cannot write pidfile " + path);
  const std::string text = std::to_string(getpid()) + "\n";
  if (write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      rename(temporary.c_str(), path.c_str()) != 0) {
    const Error error = Errno("cannot write pidfile " + path);
    unlink(temporary.c_str());
    return error;
  }
  std::error_code ignored;
  path_ = std::filesystem::absolute(path, ignored).string();
  return {};
}

}  // namespace gunid
