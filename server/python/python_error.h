// The one place where a Python exception becomes text, and a C++ exception becomes a Python one.
// GIL held.
#pragma once

#include <exception>
#include <new>
#include <string>

#include "base/result.h"
#include "python/py_ref.h"

namespace gunid {

struct PythonError {
  std::string type;       // "ModuleNotFoundError"; with its module where that is not builtins
  std::string summary;    // "ModuleNotFoundError: No module named 'nope'": one line
  std::string traceback;  // as the traceback module formats it, causes and contexts included
};

// Takes the current exception away and describes it. Never fails: what cannot be formatted is named
// by its type.
PythonError FetchPythonError();

// The same as an Error of `exit_code`: "CONTEXT: SUMMARY", with the traceback as its detail.
Error FetchError(const std::string& context, int exit_code);

// Runs the body of a function that the interpreter calls. C++ exceptions must not cross its frames.
template <class Result, class Function>
Result GuardCallback(Result failure, Function function) noexcept {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return failure;
}

}  // namespace gunid
