// Strings between C++ and Python. GIL held; a function that returns nothing has set a Python
// exception.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "python/py_ref.h"

namespace gunid {

// PEP 3333's "native strings": one character for each byte.
inline PyRef Latin1(std::string_view bytes) {
  return PyRef::Steal(
      PyUnicode_DecodeLatin1(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), nullptr));
}

// The bytes of a native string, valid as long as `text`; nullopt (and no exception) if it is not a
// str or has characters beyond Latin-1.
inline std::optional<std::string_view> Latin1View(PyObject* text) {
  if (!PyUnicode_Check(text) || PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(text)),
                          static_cast<std::size_t>(PyUnicode_GET_LENGTH(text)));
}

// Paths, names and environment variables, which are bytes of any kind outside Python.
inline PyRef FileSystemText(std::string_view bytes) {
  return PyRef::Steal(
      PyUnicode_DecodeFSDefaultAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
}

// UTF-8 of any str; what UTF-8 cannot carry is escaped.
inline std::optional<std::string> Utf8(PyObject* text) {
  PyRef bytes = PyRef::Steal(PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace"));
  if (!bytes) return std::nullopt;
  return std::string(PyBytes_AS_STRING(bytes.get()),
                     static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.get())));
}

}  // namespace gunid
