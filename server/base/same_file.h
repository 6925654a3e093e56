// Whether two results of stat(2) are of the same file. Async-signal-safe.
#pragma once

#include <sys/stat.h>

namespace gunid {

inline bool IsSameFile(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

}  // namespace gunid
