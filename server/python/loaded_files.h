// Where the modules come from that were imported: what --reload watches. The standard library's are
// left out: nobody develops it. Belongs to one thread at a time; GIL held.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

namespace gunid {

class LoadedFiles {
 public:
  // The files of the modules that are there now and were not at the last call. Runs no Python code,
  // and next to nothing while there are no new modules.
  std::vector<std::string> TakeNew();

 private:
  std::ptrdiff_t modules_ = 0;
  std::set<std::string> known_;
};

}  // namespace gunid
