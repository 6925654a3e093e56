#include "python/wsgi_errors.h"

namespace gunid {
namespace {

PyObject* FlushOnly(PyObject* self, PyObject* /*unused*/) {
  return PyObject_CallMethod(self, "flush", nullptr);
}

PyMethodDef kErrorsMethods[] = {
    {"close", FlushOnly, METH_NOARGS, "Only flushes: all requests share the stream."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot kErrorsSlots[] = {
    {Py_tp_doc, const_cast<char*>("wsgi.errors: a text stream on the error log.")},
    {Py_tp_methods, kErrorsMethods},
    {0, nullptr},
};

PyType_Spec kErrorsSpec = {"gunid.ErrorsStream", 0, 0, Py_TPFLAGS_DEFAULT, kErrorsSlots};

}  // namespace

PyRef OpenWsgiErrors(int fd) {
  const PyRef io = PyRef::Steal(PyImport_ImportModule("io"));
  const PyRef text = io ? PyRef::Steal(PyObject_GetAttrString(io.get(), "TextIOWrapper")) : PyRef();
  const PyRef type =
      text ? PyRef::Steal(PyType_FromSpecWithBases(&kErrorsSpec, text.get())) : PyRef();
  if (!type) return {};
  // open(file, mode, buffering, encoding, errors, newline, closefd)
  const PyRef bytes = PyRef::Steal(PyObject_CallMethod(io.get(), "open", "isiOOOO", fd, "wb", -1,
                                                       Py_None, Py_None, Py_None, Py_False));
  // TextIOWrapper(buffer, encoding, errors, newline, line_buffering)
  return bytes ? PyRef::Steal(PyObject_CallFunction(type.get(), "OssOO", bytes.get(), "utf-8",
                                                    "backslashreplace", Py_None, Py_True))
               : PyRef();
}

}  // namespace gunid
