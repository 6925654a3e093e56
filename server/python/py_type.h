// Types that only the server makes objects of: Python code that tries gets a TypeError. Their
// objects are plain structs, which begin with PyObject. GIL held.
#pragma once

#include "python/py_ref.h"

namespace gunid {

// Empty with a Python exception set on failure.
inline PyRef MakePrivateType(PyType_Spec& spec) {
  PyRef type = PyRef::Steal(PyType_FromSpec(&spec));
  if (type) reinterpret_cast<PyTypeObject*>(type.get())->tp_new = nullptr;
  return type;
}

// Zeroed but for its head. Empty with a Python exception set on failure.
inline PyRef AllocateObject(const PyRef& type) {
  auto* const type_object = reinterpret_cast<PyTypeObject*>(type.get());
  return PyRef::Steal(type_object->tp_alloc(type_object, 0));
}

// tp_dealloc where the struct owns nothing; the last thing to do where it does.
inline void FreeObject(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

}  // namespace gunid
