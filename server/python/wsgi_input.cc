#include "python/wsgi_input.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "python/py_type.h"
#include "python/python_error.h"

namespace gunid {
namespace {

struct WsgiInputObject {
  PyObject base;
  BodyBuffer* body;  // null when detached
};

BodyBuffer* Body(PyObject* self) {
  BodyBuffer* const body = reinterpret_cast<WsgiInputObject*>(self)->body;
  if (body == nullptr) {
    PyErr_SetString(PyExc_ValueError, "wsgi.input was used after its request was over");
  }
  return body;
}

PyRef Bytes(std::string_view text) {
  return PyRef::Steal(PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

// The next bytes; nullopt with OSError if there should be some but they cannot be read.
std::optional<std::string_view> PeekOrRaise(BodyBuffer& body) {
  const std::string_view window = body.Peek();
  if (!window.empty() || body.remaining() == 0) return window;
  PyErr_SetString(PyExc_OSError, "the buffered request body cannot be read");
  return std::nullopt;
}

std::size_t Limit(const BodyBuffer& body, Py_ssize_t size) {
  const std::uint64_t wanted = size < 0 ? body.remaining() : static_cast<std::uint64_t>(size);
  return static_cast<std::size_t>(
      std::min({body.remaining(), wanted, static_cast<std::uint64_t>(PY_SSIZE_T_MAX)}));
}

PyRef ReadBytes(BodyBuffer& body, Py_ssize_t size) {
  const std::size_t count = Limit(body, size);
  PyRef result = PyRef::Steal(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(count)));
  for (std::size_t done = 0; result && done < count;) {
    const auto window = PeekOrRaise(body);
    if (!window) return {};
    const std::size_t taken = std::min(window->size(), count - done);
    std::memcpy(PyBytes_AS_STRING(result.get()) + done, window->data(), taken);
    body.Consume(taken);
    done += taken;
  }
  return result;
}

// Up to and with the next newline, the end of the body, or `size` bytes.
PyRef ReadLine(BodyBuffer& body, Py_ssize_t size) {
  std::size_t left = Limit(body, size);
  std::string line;
  while (left > 0) {
    auto window = PeekOrRaise(body);
    if (!window) return {};
    const std::string_view part = window->substr(0, left);
    const std::size_t newline = part.find('\n');
    const bool complete = newline != std::string_view::npos || part.size() == left;
    const std::size_t taken = newline == std::string_view::npos ? part.size() : newline + 1;
    if (complete && line.empty()) {
      PyRef result = Bytes(part.substr(0, taken));
      body.Consume(taken);
      return result;
    }
    line.append(part.substr(0, taken));
    body.Consume(taken);
    if (complete) break;
    left -= taken;
  }
  return Bytes(line);
}

// The optional size of a read method; None stands for -1. Nullopt with an exception set.
std::optional<Py_ssize_t> SizeArgument(PyObject* const* arguments, Py_ssize_t count) {
  if (count > 1) {
    PyErr_Format(PyExc_TypeError, "expected at most 1 argument, got %zd", count);
    return std::nullopt;
  }
  if (count == 0 || arguments[0] == Py_None) return -1;
  const Py_ssize_t size = PyNumber_AsSsize_t(arguments[0], PyExc_OverflowError);
  if (size == -1 && PyErr_Occurred() != nullptr) return std::nullopt;
  return size;
}

template <PyRef (*Read)(BodyBuffer&, Py_ssize_t)>
PyObject* ReadMethod(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  return GuardCallback<PyObject*>(nullptr, [&]() -> PyObject* {
    const auto size = SizeArgument(arguments, count);
    BodyBuffer* const body = size ? Body(self) : nullptr;
    return body != nullptr ? Read(*body, *size).Release() : nullptr;
  });
}

// Making a list may run the garbage collector, and with it other threads: the body is looked up
// after that.
PyObject* ReadLines(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  return GuardCallback<PyObject*>(nullptr, [&]() -> PyObject* {
    const auto hint = SizeArgument(arguments, count);
    PyRef lines = hint ? PyRef::Steal(PyList_New(0)) : PyRef();
    BodyBuffer* const body = lines ? Body(self) : nullptr;
    if (body == nullptr) return nullptr;
    for (Py_ssize_t total = 0; body->remaining() > 0 && (*hint <= 0 || total < *hint);) {
      const PyRef line = ReadLine(*body, -1);
      if (!line || PyList_Append(lines.get(), line.get()) != 0) return nullptr;
      total += PyBytes_GET_SIZE(line.get());
    }
    return lines.Release();
  });
}

PyObject* Next(PyObject* self) {
  return GuardCallback<PyObject*>(nullptr, [&]() -> PyObject* {
    BodyBuffer* const body = Body(self);
    if (body == nullptr || body->remaining() == 0) return nullptr;
    return ReadLine(*body, -1).Release();
  });
}

using FastCall = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t);

PyMethodDef Method(const char* name, FastCall function, const char* doc) {
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function)), METH_FASTCALL,
          doc};
}

PyMethodDef kMethods[] = {
    Method("read", ReadMethod<ReadBytes>, "read(size=-1): up to size bytes, or all that are left."),
    Method("readline", ReadMethod<ReadLine>, "readline(size=-1): the next line, or a part of it."),
    Method("readlines", ReadLines, "readlines(hint=-1): lines, of hint bytes or a little more."),
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_doc, const_cast<char*>("The body of a request.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(FreeObject)},
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(Next)},
    {Py_tp_methods, kMethods},
    {0, nullptr},
};

PyType_Spec kSpec = {"gunid.WsgiInput", sizeof(WsgiInputObject), 0, Py_TPFLAGS_DEFAULT, kSlots};

}  // namespace

PyRef MakeWsgiInputType() {
  return MakePrivateType(kSpec);
}

PyRef NewWsgiInput(const PyRef& type) {
  return AllocateObject(type);
}

void AttachWsgiInput(const PyRef& input, BodyBuffer& body) {
  reinterpret_cast<WsgiInputObject*>(input.get())->body = &body;
}

void DetachWsgiInput(const PyRef& input) {
  reinterpret_cast<WsgiInputObject*>(input.get())->body = nullptr;
}

}  // namespace gunid
