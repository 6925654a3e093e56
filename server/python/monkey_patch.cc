#include "python/monkey_patch.h"

#include <spdlog/spdlog.h>

#include "gunid/exit_codes.h"
#include "python/python_error.h"

namespace gunid {
namespace {

constexpr char kMissing[] = "worker class 'gevent' needs gevent, which cannot be imported";

// A traceback would say nothing more if the package is just not there.
Error ImportError() {
  const bool missing = PyErr_ExceptionMatches(PyExc_ModuleNotFoundError) != 0;
  Error error = FetchError(kMissing, exit_code::kConfig);
  if (missing) error.detail.clear();
  return error;
}

}  // namespace

Status PatchForGreenlets() {
  const PyRef gevent = PyRef::Steal(PyImport_ImportModule("gevent"));
  const PyRef monkey = gevent ? PyRef::Steal(PyImport_ImportModule("gevent.monkey")) : PyRef();
  if (!monkey) return ImportError();
  const PyRef patched = PyRef::Steal(PyObject_CallMethod(monkey.get(), "patch_all", nullptr));
  if (!patched) return FetchError("gevent.monkey.patch_all() failed", exit_code::kConfig);
  return {};
}

void ReviveGreenlets() {
  PyObject* const gevent = PyDict_GetItemString(PyImport_GetModuleDict(), "gevent");
  if (gevent == nullptr) return;
  const PyRef revived = PyRef::Steal(PyObject_CallMethod(gevent, "reinit", nullptr));
  if (!revived) spdlog::error("gevent.reinit() failed: {}", FetchPythonError().summary);
}

}  // namespace gunid
