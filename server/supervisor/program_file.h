// A program file as it was when this program started: the file under its name may be another
// version's by now, and workers must be of the supervisor's own. Any thread.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace gunid {

class ProgramFile {
 public:
  // Opens `file`, which was started, or is to be, as `path`.
  static Result<ProgramFile> Open(const std::string& file, const std::string& path);
  // The program that runs here; `name` is its argv[0].
  static Result<ProgramFile> Running(const std::string& name);

  ProgramFile() = default;
  // One that another program in this process has opened.
  ProgramFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  // Absolute. What is installed there now may be another file.
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  // For exec in this process or a child: path() while it is the same file.
  [[nodiscard]] std::string PathToRun() const;

 private:
  std::string path_;
  UniqueFd fd_;
};

}  // namespace gunid
