// Gunicorn's pidfile: the supervisor's pid, refused while another living process is named in it.
// Removed on destruction if it still names this process.
#pragma once

#include <string>

#include "base/result.h"

namespace gunid {

class PidFile {
 public:
  PidFile() = default;
  ~PidFile();
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

  Status Write(const std::string& path);
  // The file that this process wrote as another program; "" for none.
  void Adopt(const std::string& path) { path_ = path; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;  // absolute; "" while there is none
};

}  // namespace gunid
