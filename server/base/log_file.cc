#include "base/log_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/same_file.h"

namespace gunid {
namespace {

// The owner may write to a directory of the path, and have put a link there: another's file, or one
// in another's directory, must not become his by that. Such a log stays root's: workers write to it as
// it was opened, and cannot make a new one when it is rotated.
void GiveToOwner(const UniqueFd& file, const std::string& path, const Account& owner) {
  open_how how{.flags = O_PATH | O_CLOEXEC, .mode = 0, .resolve = RESOLVE_NO_SYMLINKS};
  const UniqueFd unlinked(
      static_cast<int>(syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
  struct stat opened {};
  struct stat named {};
  if (fstat(file.get(), &opened) != 0 || fstat(unlinked.get(), &named) != 0) return;
  const bool plain = S_ISREG(opened.st_mode) && opened.st_nlink == 1 && IsSameFile(opened, named);
  if (!plain) return;
  [[maybe_unused]] const int failed = fchown(file.get(), owner.uid, owner.gid);
}

}  // namespace

Status LogFile::Open(const std::string& path, const std::optional<Account>& owner) {
  if (path == "-") {
    const bool is_error = stream_ == STDERR_FILENO;
    if (!PointAt(stream_))
      return Errno(is_error ? "cannot log to standard error" : "cannot log to standard output");
  } else {
    const UniqueFd file(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
    if (!file || !PointAt(file.get())) return Errno("cannot open log file " + path);
    if (owner) GiveToOwner(file, path, *owner);
  }
  path_ = path;
  owner_ = owner;
  return {};
}

Status LogFile::Reopen() {
  return path_ == "-" ? Status() : Open(path_, owner_);
}

// False with errno set.
bool LogFile::PointAt(int fd) {
  if (fd_) return dup3(fd, fd_.get(), O_CLOEXEC) >= 0;
  fd_.Reset(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  return static_cast<bool>(fd_);
}

}  // namespace gunid
