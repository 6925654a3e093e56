// Warns of threads and sockets that the application has made while it was preloaded: the workers are
// forked without the threads, and share the sockets. Zygote's main thread, GIL held.
#pragma once

#include <string>
#include <vector>

#include "python/py_ref.h"

namespace gunid {

class PreloadReport {
 public:
  // From now on it notes where threads and sockets are made. A report that cannot be made is none.
  PreloadReport();

  // Once, after the import: a line for each that is still there.
  std::vector<std::string> Finish();

 private:
  PyRef report_;
};

}  // namespace gunid
