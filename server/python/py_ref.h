// Owns one reference to a Python object. The two doors to ownership are named: Steal takes over a
// new reference, Borrow adds one. The GIL must be held wherever a PyRef that is not empty is made,
// copied or destroyed; debug builds check it.
#pragma once

// Python.h wants to come before the standard headers and with this macro.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cassert>
#include <utility>

namespace gunid {

class PyRef {
 public:
  PyRef() = default;
  static PyRef Steal(PyObject* object) { return PyRef(object); }
  static PyRef Borrow(PyObject* object) {
    assert(object == nullptr || PyGILState_Check());
    Py_XINCREF(object);
    return PyRef(object);
  }

  PyRef(const PyRef& other) : PyRef(Borrow(other.object_)) {}
  PyRef(PyRef&& other) noexcept : object_(other.Release()) {}
  PyRef& operator=(PyRef other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~PyRef() {
    assert(object_ == nullptr || PyGILState_Check());
    Py_XDECREF(object_);
  }

  [[nodiscard]] PyObject* get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }
  // Gives the reference away: to a function that steals, or as a C callback's result.
  [[nodiscard]] PyObject* Release() { return std::exchange(object_, nullptr); }

 private:
  explicit PyRef(PyObject* object) : object_(object) {}
  PyObject* object_ = nullptr;
};

}  // namespace gunid
