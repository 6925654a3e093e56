// wsgi.errors (PEP 3333): one text stream on the error log for all requests of a worker. GIL held.
#pragma once

#include "python/py_ref.h"

namespace gunid {

// Flushed with each line; close() only flushes. The descriptor is not owned. Nothing with a Python
// exception set.
PyRef OpenWsgiErrors(int fd);

}  // namespace gunid
