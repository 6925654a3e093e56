#include "engine/temporary_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace gunid {
namespace {

std::string TemporaryDirectory() {
  const char* directory = std::getenv("TMPDIR");
  return directory != nullptr && *directory != '\0' ? directory : "/tmp";
}

}  // namespace

Result<UniqueFd> OpenTemporaryFile() {
  const std::string directory = TemporaryDirectory();
  UniqueFd file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file) return file;
  // Some file systems have no O_TMPFILE.
  std::string path = directory + "/gunid-XXXXXX";
  file.Reset(::mkostemp(path.data(), O_CLOEXEC));
  if (!file) return Errno("temporary file in " + directory);
  ::unlink(path.c_str());
  return file;
}

Status WriteAt(int file, std::string_view bytes, off_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), offset);
    if (written >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
      offset += written;
    } else if (errno != EINTR) {
      return Errno("write to a temporary file in " + TemporaryDirectory());
    }
  }
  return {};
}

}  // namespace gunid
