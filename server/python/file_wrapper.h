// wsgi.file_wrapper (PEP 3333): an iterable over a file-like object that the server may send by
// sendfile instead. GIL held.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "python/py_ref.h"

namespace gunid {

// From the current position of a regular file to its end. The descriptor belongs to the Python
// object.
struct FileRegion {
  int fd = -1;
  off_t offset = 0;
  std::uint64_t size = 0;
};

// The types that are needed to make file wrappers and to look into them.
class FileWrapper {
 public:
  // False with a Python exception set.
  bool Create();

  // FileWrapper(filelike, blksize=8192)
  [[nodiscard]] PyObject* type() const { return type_.get(); }

  // What `result` is going to yield, if it is a file wrapper (and not of a subclass) over a plain
  // open file. Anything that gives its bytes a meaning of its own (gzip.GzipFile has a fileno(),
  // too) is left to iteration.
  [[nodiscard]] std::optional<FileRegion> Region(PyObject* result) const;

 private:
  [[nodiscard]] bool IsPlainFile(PyObject* file) const;

  PyRef type_;
  PyRef file_io_;
  PyRef buffered_reader_;
  PyRef buffered_random_;
};

}  // namespace gunid
