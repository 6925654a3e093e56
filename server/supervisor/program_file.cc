#include "supervisor/program_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <vector>

#include "base/same_file.h"

namespace gunid {
namespace {

namespace fs = std::filesystem;

constexpr char kOwnExecutable[] = "/proc/self/exe";
// Above the numbers that a zygote's descriptors get, which may replace others in a child.
constexpr int kLowestNumber = 64;

bool SameFile(const std::string& path, int fd) {
  struct stat named {};
  struct stat opened {};
  return stat(path.c_str(), &named) == 0 && fstat(fd, &opened) == 0 && IsSameFile(named, opened);
}

// Where a shell would find `name`.
std::vector<std::string> PathsOf(const std::string& name) {
  std::error_code ignored;
  if (name.starts_with("./")) return {fs::absolute(name.substr(2), ignored).string()};
  if (name.find('/') != std::string::npos) return {fs::absolute(name, ignored).string()};
  std::vector<std::string> candidates;
  const char* const path = std::getenv("PATH");
  std::istringstream directories(path != nullptr ? path : "");
  for (std::string directory; std::getline(directories, directory, ':');) {
    candidates.push_back(fs::absolute(fs::path(directory) / name, ignored).string());
  }
  return candidates;
}

}  // namespace

Result<ProgramFile> ProgramFile::Open(const std::string& file, const std::string& path) {
  const UniqueFd opened(open(file.c_str(), O_PATH | O_CLOEXEC));
  if (!opened) return Errno("cannot open the program " + path);
  UniqueFd fd(fcntl(opened.get(), F_DUPFD_CLOEXEC, kLowestNumber));
  if (!fd) return Errno("cannot open the program " + path);
  return ProgramFile(path, std::move(fd));
}

Result<ProgramFile> ProgramFile::Running(const std::string& name) {
  auto running = Open(kOwnExecutable, kOwnExecutable);
  if (!running) return running;
  // By the name as it was typed: a symbolic link in it leads to the next version.
  for (const std::string& candidate : PathsOf(name)) {
    if (!SameFile(candidate, running->fd())) continue;
    running->path_ = candidate;
    return running;
  }
  std::error_code error;
  running->path_ = fs::read_symlink(kOwnExecutable, error).string();
  if (error) return Error{std::string("cannot read ") + kOwnExecutable + ": " + error.message()};
  return running;
}

std::string ProgramFile::PathToRun() const {
  return SameFile(path_, fd_.get()) ? path_ : "/proc/self/fd/" + std::to_string(fd_.get());
}

}  // namespace gunid
