#include "python/file_wrapper.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <new>

#include "python/py_type.h"

namespace gunid {
namespace {

constexpr Py_ssize_t kDefaultBlockSize = 8192;

struct FileWrapperObject {
  PyObject base;
  PyRef file;
  Py_ssize_t block_size;
};

FileWrapperObject& Self(PyObject* self) {
  return *reinterpret_cast<FileWrapperObject*>(self);
}

PyObject* New(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"filelike", "blksize", nullptr};
  PyObject* file = nullptr;
  Py_ssize_t block_size = kDefaultBlockSize;
  if (PyArg_ParseTupleAndKeywords(arguments, keywords, "O|n:FileWrapper", const_cast<char**>(names),
                                  &file, &block_size) == 0) {
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  new (&Self(self).file) PyRef(PyRef::Borrow(file));
  Self(self).block_size = block_size;
  return self;
}

void Deallocate(PyObject* self) {
  Self(self).file.~PyRef();
  FreeObject(self);
}

PyObject* Next(PyObject* self) {
  PyRef block =
      PyRef::Steal(PyObject_CallMethod(Self(self).file.get(), "read", "n", Self(self).block_size));
  if (!block) return nullptr;
  const int has_bytes = PyObject_IsTrue(block.get());
  return has_bytes == 1 ? block.Release() : nullptr;
}

PyObject* Close(PyObject* self, PyObject*) {
  const PyRef close = PyRef::Steal(PyObject_GetAttrString(Self(self).file.get(), "close"));
  if (close) return PyObject_CallNoArgs(close.get());
  if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) return nullptr;
  PyErr_Clear();
  Py_RETURN_NONE;
}

PyMethodDef kMethods[] = {
    {"close", Close, METH_NOARGS, "Closes the file-like object, if it can be closed."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_doc, const_cast<char*>("Iterable over the blocks of a file-like object.")},
    {Py_tp_new, reinterpret_cast<void*>(New)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Deallocate)},
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(Next)},
    {Py_tp_methods, kMethods},
    {0, nullptr},
};

PyType_Spec kSpec = {"gunid.FileWrapper", sizeof(FileWrapperObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, kSlots};

bool IsExactly(PyObject* object, const PyRef& type) {
  return reinterpret_cast<PyObject*>(Py_TYPE(object)) == type.get();
}

// What an integer-valued method returns; nullopt, without an exception, where it fails.
std::optional<long long> CallForInteger(PyObject* object, const char* method) {
  const PyRef result = PyRef::Steal(PyObject_CallMethod(object, method, nullptr));
  const long long value = result ? PyLong_AsLongLong(result.get()) : -1;
  if (PyErr_Occurred() == nullptr) return value;
  PyErr_Clear();
  return std::nullopt;
}

// Bytes that were written through the object have to be in the file before it is read from below.
bool Flush(PyObject* file) {
  const PyRef result = PyRef::Steal(PyObject_CallMethod(file, "flush", nullptr));
  PyErr_Clear();
  return static_cast<bool>(result);
}

}  // namespace

bool FileWrapper::Create() {
  const PyRef io = PyRef::Steal(PyImport_ImportModule("io"));
  if (!io) return false;
  type_ = PyRef::Steal(PyType_FromSpec(&kSpec));
  if (type_) file_io_ = PyRef::Steal(PyObject_GetAttrString(io.get(), "FileIO"));
  if (file_io_) buffered_reader_ = PyRef::Steal(PyObject_GetAttrString(io.get(), "BufferedReader"));
  if (buffered_reader_) {
    buffered_random_ = PyRef::Steal(PyObject_GetAttrString(io.get(), "BufferedRandom"));
  }
  return static_cast<bool>(buffered_random_);
}

bool FileWrapper::IsPlainFile(PyObject* file) const {
  if (IsExactly(file, file_io_)) return true;
  if (!IsExactly(file, buffered_reader_) && !IsExactly(file, buffered_random_)) return false;
  const PyRef raw = PyRef::Steal(PyObject_GetAttrString(file, "raw"));
  PyErr_Clear();
  return raw && IsExactly(raw.get(), file_io_);
}

std::optional<FileRegion> FileWrapper::Region(PyObject* result) const {
  if (!IsExactly(result, type_)) return std::nullopt;
  PyObject* const file = Self(result).file.get();
  if (!IsPlainFile(file) || !Flush(file)) return std::nullopt;
  const auto fd = CallForInteger(file, "fileno");
  const auto position = CallForInteger(file, "tell");
  struct stat status {};
  if (!fd || !position || fstat(static_cast<int>(*fd), &status) != 0 || !S_ISREG(status.st_mode)) {
    return std::nullopt;
  }
  // Files of /proc say that they are empty; and reading is what tells that a file may not be read.
  const int flags = fcntl(static_cast<int>(*fd), F_GETFL);
  if (status.st_size == 0 || flags < 0 || (flags & O_ACCMODE) == O_WRONLY) return std::nullopt;
  const long long size = status.st_size > *position ? status.st_size - *position : 0;
  return FileRegion{static_cast<int>(*fd), static_cast<off_t>(*position),
                    static_cast<std::uint64_t>(size)};
}

}  // namespace gunid
