#include "supervisor/stack_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>

namespace gunid {
namespace {

// The application can write to the file, too, and the supervisor must not drown in it.
constexpr std::size_t kMostBytes = 4 * 1024 * 1024;

}  // namespace

Result<StackFile> StackFile::Create() {
  UniqueFd fd(memfd_create("gunid-stacks", MFD_CLOEXEC));
  if (!fd) return Errno("memfd_create");
  if (fcntl(fd.get(), F_SETFL, O_APPEND) != 0) return Errno("fcntl of a file in memory");
  return StackFile(std::move(fd));
}

void StackFile::Empty() const {
  [[maybe_unused]] const int failed = ftruncate(fd_.get(), 0);
}

std::size_t StackFile::Size() const {
  struct stat status {};
  return fstat(fd_.get(), &status) == 0 ? static_cast<std::size_t>(status.st_size) : 0;
}

std::string StackFile::Read() const {
  std::string text(std::min(Size(), kMostBytes), '\0');
  std::size_t got = 0;
  while (got < text.size()) {
    const ssize_t count =
        pread(fd_.get(), text.data() + got, text.size() - got, static_cast<off_t>(got));
    if (count <= 0) break;
    got += static_cast<std::size_t>(count);
  }
  text.resize(got);
  return text;
}

}  // namespace gunid
