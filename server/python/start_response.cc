#include "python/start_response.h"

#include <structmember.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "python/gil.h"
#include "python/py_text.h"
#include "python/py_type.h"
#include "python/python_error.h"
#include "python/wsgi_call.h"

namespace gunid {
namespace {

// Some of it will most likely go to a temporary file.
constexpr std::size_t kLargeWrite = 64 * 1024;
constexpr std::size_t kLargestPart = 1024 * 1024;  // between two looks at what is pending
constexpr char kTooLate[] = "start_response was used after its request was over";
constexpr char kWrittenTwice[] = "two threads wrote to the response at once";

bool Raise(PyObject* type, const char* message) {
  PyErr_SetString(type, message);
  return false;
}

// `text` as the bytes of a native string; nullopt with TypeError or ValueError.
std::optional<std::string_view> NativeString(PyObject* text, const char* what) {
  const auto view = Latin1View(text);
  if (!view && PyUnicode_Check(text)) {
    PyErr_Format(PyExc_ValueError, "%s has characters beyond Latin-1: %R", what, text);
  } else if (!view) {
    PyErr_Format(PyExc_TypeError, "%s must be str, not %.100s", what, Py_TYPE(text)->tp_name);
  }
  return view;
}

bool StartHead(PyObject* status, ResponseHead& head) {
  const auto line = NativeString(status, "status");
  if (!line) return false;
  const std::optional<int> code = ParseStatusLine(*line);
  if (!code) {
    PyErr_Format(PyExc_ValueError, "invalid status %R: expected 'NNN reason'", status);
    return false;
  }
  head.Start(*code, *line);
  return true;
}

// Calls `take` with the name and the value of each header.
template <class Take>
bool TakeHeader(PyObject* item, const Take& take) {
  if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) {
    PyErr_Format(PyExc_TypeError, "a header must be a tuple (name, value), not %R", item);
    return false;
  }
  const auto name = NativeString(PyTuple_GET_ITEM(item, 0), "header name");
  const auto value = name ? NativeString(PyTuple_GET_ITEM(item, 1), "header value") : std::nullopt;
  if (!value) return false;
  if (!IsHeaderName(*name) || !IsHeaderValue(*value)) {
    PyErr_Format(PyExc_ValueError, "invalid header: %R", item);
    return false;
  }
  take(*name, *value);
  return true;
}

// `items` as of HeaderItems.
template <class Take>
bool TakeHeaders(PyObject* items, const Take& take) {
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items); ++i) {
    if (!TakeHeader(PySequence_Fast_GET_ITEM(items, i), take)) return false;
  }
  return true;
}

// Runs code of the application where `headers` is neither list nor tuple: the request may be over by then.
PyRef HeaderItems(PyObject* headers) {
  return PyRef::Steal(PySequence_Fast(headers, "response headers must be a list of tuples"));
}

bool FillHead(PyObject* status, PyObject* items, ResponseHead& head) {
  const auto add = [&head](std::string_view name, std::string_view value) {
    head.Add(name, value);
  };
  if (!StartHead(status, head) || !TakeHeaders(items, add)) return false;
  if (head.has_sound_content_length()) return true;
  return Raise(PyExc_ValueError, "Content-Length must be given once, as a whole number");
}

// Raises the exception of an exc_info tuple again, with its traceback. Returns false.
bool Reraise(PyObject* exc_info) {
  PyObject* const value = PyTuple_GET_ITEM(exc_info, 1);
  PyObject* const traceback = PyTuple_GET_ITEM(exc_info, 2);
  if (!PyExceptionInstance_Check(value)) {
    return Raise(PyExc_TypeError, "exc_info must be a tuple as of sys.exc_info()");
  }
  PyErr_Restore(PyRef::Borrow(PyExceptionInstance_Class(value)).Release(),
                PyRef::Borrow(value).Release(),
                traceback == Py_None ? nullptr : PyRef::Borrow(traceback).Release());
  return false;
}

bool IsExcInfo(PyObject* object) {
  return PyTuple_Check(object) && PyTuple_GET_SIZE(object) == 3 &&
         (PyTuple_GET_ITEM(object, 2) == Py_None || PyTraceBack_Check(PyTuple_GET_ITEM(object, 2)));
}

}  // namespace

class WsgiResponse::GilReleasedForWrite {
 public:
  explicit GilReleasedForWrite(WsgiResponse& response) : response_(response) {
    response_.writing_ = true;
    released_.emplace();
  }
  ~GilReleasedForWrite() {
    released_.reset();
    response_.writing_ = false;
  }

 private:
  WsgiResponse& response_;
  std::optional<GilReleased> released_;
};

void WsgiResponse::Begin(Exchange& exchange) {
  exchange_ = &exchange;
  started_ = closed_ = full_ = ended_ = writing_ = false;
}

bool WsgiResponse::Start(PyObject* status, PyObject* header_items, PyObject* exc_info) {
  if (exc_info != Py_None) {
    if (!IsExcInfo(exc_info)) {
      return Raise(PyExc_TypeError, "exc_info must be a tuple as of sys.exc_info()");
    }
    if (exchange_->head_sent()) return Reraise(exc_info);
  } else if (started_) {
    return Raise(PyExc_AssertionError, "start_response() was called again without exc_info");
  }
  // To tell of an error may run code of the application: nothing of this object is touched after one.
  if (!started_) {
    if (!FillHead(status, header_items, head_)) return false;
    return started_ = true;
  }
  ResponseHead other;  // if it is refused, the first one holds
  if (!FillHead(status, header_items, other)) return false;
  head_ = std::move(other);
  return true;
}

bool WsgiResponse::SendEarlyHints(PyObject* header_items) {
  ResponseFields fields;
  const auto add = [&fields](std::string_view name, std::string_view value) {
    fields.emplace_back(name, value);
  };
  if (!TakeHeaders(header_items, add)) return false;
  if (ended_) return Raise(PyExc_RuntimeError, kTooLate);
  if (writing_) return Raise(PyExc_RuntimeError, kWrittenTwice);
  if (WaitForRoom()) Note(exchange_->SendEarlyHints(fields));
  return PyErr_Occurred() == nullptr;
}

bool WsgiResponse::SendHead(std::optional<std::uint64_t> known_length) {
  if (exchange_->head_sent()) return true;
  if (!started_) {
    return Raise(PyExc_AssertionError, "the application did not call start_response()");
  }
  exchange_->SendHead(head_, known_length);
  return true;
}

bool WsgiResponse::Write(PyObject* chunk, std::optional<std::uint64_t> known_length) {
  if (!PyBytes_Check(chunk)) {
    PyErr_Format(PyExc_TypeError, "the response body must be made of bytes, not %.100s",
                 Py_TYPE(chunk)->tp_name);
    return false;
  }
  const std::string_view bytes(PyBytes_AS_STRING(chunk),
                               static_cast<std::size_t>(PyBytes_GET_SIZE(chunk)));
  if (ended_) return Raise(PyExc_RuntimeError, kTooLate);
  if (writing_) return Raise(PyExc_RuntimeError, kWrittenTwice);
  if (bytes.empty() || closed_) return true;
  if (!SendHead(known_length)) return false;
  for (std::size_t done = 0; done < bytes.size() && WaitForRoom(); done += kLargestPart) {
    WritePart(bytes.substr(done, kLargestPart));
  }
  return PyErr_Occurred() == nullptr;
}

bool WsgiResponse::WaitForRoom() {
  if (full_ && !closed_) {
    writing_ = true;
    const bool room = exchange_->WaitForRoom(
        options_.write_timeout_s, [this] { return options_.wait_for_client(*exchange_); });
    writing_ = false;
    if (PyErr_Occurred() != nullptr) return false;
    closed_ = !room;
    full_ = false;
  }
  return !closed_;
}

void WsgiResponse::WritePart(std::string_view part) {
  std::optional<GilReleasedForWrite> released;
  if (part.size() >= kLargeWrite || exchange_->may_wait_to_write()) released.emplace(*this);
  Note(exchange_->Write(part));
}

void WsgiResponse::Note(Exchange::WriteStatus status) {
  full_ = status == Exchange::WriteStatus::kFull;
  closed_ = status == Exchange::WriteStatus::kClosed;
}

bool WsgiResponse::SendFile(const FileRegion& file) {
  if (!SendHead(file.size)) return false;
  const std::uint64_t count = std::min(file.size, head_.content_length().value_or(file.size));
  const GilReleasedForWrite released(*this);  // the file may have to be read from a disk
  closed_ = exchange_->SendFile(file.fd, file.offset, count) == Exchange::WriteStatus::kClosed;
  return true;
}

void WsgiResponse::EndWriting() {
  ended_ = true;
  if (!writing_) return;
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);  // why the application has returned, perhaps
  while (writing_) {
    if (options_.wait_for_client(*exchange_)) continue;
    // The request was ended, which counts if nothing else did.
    if (type != nullptr) {
      PyErr_Clear();
    } else {
      PyErr_Fetch(&type, &value, &traceback);
    }
  }
  PyErr_Restore(type, value, traceback);
}

bool WsgiResponse::wants_more() const {
  if (closed_) return false;
  if (!exchange_->head_sent()) return true;
  return exchange_->surplus() == 0 && exchange_->framing() != BodyFraming::kNone;
}

namespace {

struct StartResponseObject {
  PyObject base;
  vectorcallfunc vectorcall;
  WsgiResponse* response;  // null when detached
  PyObject* write;         // its ResponseCallables'; while attached
};

WsgiResponse* Response(PyObject* self) {
  WsgiResponse* const response = reinterpret_cast<StartResponseObject*>(self)->response;
  if (response == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, kTooLate);
  }
  return response;
}

// write(data): unlike an iterable, which is just not asked for more, the application has to be told
// that the client is gone.
PyObject* WriteMethod(PyObject* self, PyObject* data) {
  return GuardCallback<PyObject*>(nullptr, [&]() -> PyObject* {
    WsgiResponse* const response = Response(self);
    if (response == nullptr || !response->Write(data)) return nullptr;
    if (response->closed()) {
      PyErr_SetString(PyExc_BrokenPipeError, "the client has closed the connection");
      return nullptr;
    }
    Py_RETURN_NONE;
  });
}

PyMethodDef kWrite = {"write", WriteMethod, METH_O, "write(data): sends bytes to the client."};

PyObject* EarlyHintsMethod(PyObject* self, PyObject* headers) {
  return GuardCallback<PyObject*>(nullptr, [&]() -> PyObject* {
    const PyRef items = HeaderItems(headers);
    WsgiResponse* const response = items ? Response(self) : nullptr;
    if (response == nullptr || !response->SendEarlyHints(items.get())) return nullptr;
    Py_RETURN_NONE;
  });
}

PyMethodDef kEarlyHints = {
    "early_hints", EarlyHintsMethod, METH_O,
    "early_hints(headers): sends a 103 response with a list of tuples (name, value)."};

// exc_info is the third argument, or a keyword. Returns null with TypeError.
PyObject* ExcInfoArgument(PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  const Py_ssize_t keyword_count = keywords != nullptr ? PyTuple_GET_SIZE(keywords) : 0;
  if (count == 3 && keyword_count == 0) return arguments[2];
  if (count == 2 && keyword_count == 0) return Py_None;
  if (count == 2 && keyword_count == 1 &&
      PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keywords, 0), "exc_info") == 0) {
    return arguments[2];
  }
  PyErr_SetString(PyExc_TypeError, "expected start_response(status, headers, exc_info=None)");
  return nullptr;
}

PyObject* Call(PyObject* self, PyObject* const* arguments, std::size_t count_and_flag,
               PyObject* keywords) {
  return GuardCallback<PyObject*>(nullptr, [&]() -> PyObject* {
    PyObject* const exc_info =
        ExcInfoArgument(arguments, PyVectorcall_NARGS(count_and_flag), keywords);
    const PyRef items = exc_info != nullptr ? HeaderItems(arguments[1]) : PyRef();
    WsgiResponse* const response = items ? Response(self) : nullptr;
    if (response == nullptr || !response->Start(arguments[0], items.get(), exc_info))
      return nullptr;
    return PyRef::Borrow(reinterpret_cast<StartResponseObject*>(self)->write).Release();
  });
}

PyMemberDef kMembers[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(StartResponseObject, vectorcall), READONLY,
     nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_doc, const_cast<char*>("start_response(status, headers, exc_info=None) -> write")},
    {Py_tp_dealloc, reinterpret_cast<void*>(FreeObject)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_members, kMembers},
    {0, nullptr},
};

PyType_Spec kSpec = {"gunid.StartResponse", sizeof(StartResponseObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL, kSlots};

}  // namespace

PyRef MakeStartResponseType() {
  return MakePrivateType(kSpec);
}

bool ResponseCallables::Create(const PyRef& start_response_type) {
  start_response_ = AllocateObject(start_response_type);
  if (!start_response_) return false;
  reinterpret_cast<StartResponseObject*>(start_response_.get())->vectorcall = Call;
  write_ = PyRef::Steal(PyCFunction_New(&kWrite, start_response_.get()));
  if (write_) early_hints_ = PyRef::Steal(PyCFunction_New(&kEarlyHints, start_response_.get()));
  return static_cast<bool>(early_hints_);
}

void ResponseCallables::Attach(WsgiResponse& response) {
  auto* const self = reinterpret_cast<StartResponseObject*>(start_response_.get());
  self->response = &response;
  self->write = write_.get();
}

void ResponseCallables::Detach() {
  auto* const self = reinterpret_cast<StartResponseObject*>(start_response_.get());
  self->response = nullptr;
  self->write = nullptr;
}

bool ResponseCallables::are_unshared() const {
  // A weak reference would lead to it as well, and __module__ can be set.
  const auto is_unshared = [](const PyRef& function) {
    const auto* const object = reinterpret_cast<PyCFunctionObject*>(function.get());
    return Py_REFCNT(function.get()) == 1 && object->m_weakreflist == nullptr &&
           object->m_module == nullptr;
  };
  constexpr int kOwnReferences = 3;  // the functions' are two of them
  return Py_REFCNT(start_response_.get()) == kOwnReferences && is_unshared(write_) &&
         is_unshared(early_hints_);
}

}  // namespace gunid
