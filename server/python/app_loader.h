// Finds the WSGI callable: MODULE[:CALLABLE], CALLABLE being a name (default "application") or a
// factory call with literal arguments, 'app:create_app("x", n=1)' (Gunicorn's wsgi_app). GIL held.
#pragma once

#include <string>

#include "base/result.h"
#include "python/py_ref.h"

namespace gunid {

// An error's exit code is Gunicorn's: kBootError (3) when importing the module raised, with the
// traceback as its detail; kAppLoadError (4) when the module has no such name, what it has is not
// callable, or the specification is malformed. A factory that raises is kAppLoadError with its
// traceback.
Result<PyRef> LoadApp(const std::string& specification);

}  // namespace gunid
