#include "python/wsgi_call.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <vector>

#include "base/forked_child.h"
#include "gunid/exit_codes.h"
#include "python/file_wrapper.h"
#include "python/gil.h"
#include "python/python_error.h"
#include "python/request_timeout.h"
#include "python/start_response.h"
#include "python/wsgi_environ.h"
#include "python/wsgi_input.h"

namespace gunid {
namespace {

std::string_view PathOf(const Exchange& exchange) {
  return exchange.request().TargetWithoutQuery();
}

// What it raised, which is cleared. True: it was RequestTimeout; the log has its stack already.
bool LogException(const Exchange& exchange) {
  if (PyErr_ExceptionMatches(RequestTimeoutType()) != 0) {
    PyErr_Clear();
    spdlog::warn("Request {} was ended", PathOf(exchange));
    return true;
  }
  spdlog::error("Error handling request {}\n{}", PathOf(exchange), FetchPythonError().traceback);
  return false;
}

// A process that the application forked in its request and that comes back here has nothing to do
// any more: the worker answers.
void LeaveForkedChild() {
  if (!InForkedChild()) return;
  Py_FinalizeEx();
  _exit(EXIT_SUCCESS);
}

bool IsPlainSequence(PyObject* object) {
  return PyList_CheckExact(object) || PyTuple_CheckExact(object);
}

// Of all items of a list or tuple; nullopt with TypeError if one of them is not bytes: found here,
// it still makes a proper 500.
std::optional<std::uint64_t> TotalLength(PyObject* sequence) {
  std::uint64_t total = 0;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence); ++i) {
    PyObject* const item = PySequence_Fast_GET_ITEM(sequence, i);
    if (!PyBytes_Check(item)) {
      PyErr_Format(PyExc_TypeError, "the response body must be made of bytes, not %.100s",
                   Py_TYPE(item)->tp_name);
      return std::nullopt;
    }
    total += static_cast<std::uint64_t>(PyBytes_GET_SIZE(item));
  }
  return total;
}

// The functions that return false have set a Python exception.

bool SendSequence(PyObject* sequence, WsgiResponse& response) {
  const std::optional<std::uint64_t> length = TotalLength(sequence);
  if (!length) return false;
  // A write may let other threads run, and these may change a list.
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence) && response.wants_more(); ++i) {
    const PyRef item = PyRef::Borrow(PySequence_Fast_GET_ITEM(sequence, i));
    if (!response.Write(item.get(), length)) return false;
  }
  return true;
}

bool SendIterable(PyObject* iterable, WsgiResponse& response) {
  const PyRef iterator = PyRef::Steal(PyObject_GetIter(iterable));
  if (!iterator) return false;
  while (response.wants_more()) {
    const PyRef chunk = PyRef::Steal(PyIter_Next(iterator.get()));
    if (!chunk) return PyErr_Occurred() == nullptr;
    if (!response.Write(chunk.get())) return false;
  }
  return true;
}

bool CallClose(PyObject* result) {
  if (IsPlainSequence(result)) return true;
  const PyRef close = PyRef::Steal(PyObject_GetAttrString(result, "close"));
  if (close) return static_cast<bool>(PyRef::Steal(PyObject_CallNoArgs(close.get())));
  if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) return false;
  PyErr_Clear();
  return true;
}

void Succeed(Exchange& exchange, const WsgiResponse& response) {
  exchange.Finish();
  if (response.closed()) return;
  if (exchange.shortfall() > 0) {
    spdlog::warn("Response to {} is {} bytes shorter than its Content-Length", PathOf(exchange),
                 exchange.shortfall());
  } else if (exchange.surplus() > 0) {
    spdlog::warn("Response to {} is longer than its Content-Length and was cut", PathOf(exchange));
  }
}

void Fail(Exchange& exchange, const WsgiResponse& response) {
  if (response.closed() && PyErr_ExceptionMatches(PyExc_BrokenPipeError) != 0) {
    PyErr_Clear();  // write() raised it because the client is gone: nobody's error
    exchange.Abort();
    return;
  }
  // Aborts where a part of the response has gone out.
  exchange.SendError(LogException(exchange) ? 504 : 500, "");
}

}  // namespace

bool WaitForSocketWithoutGil(const Exchange& exchange) {
  {
    const GilReleased released;
    exchange.WaitForSocket();
  }
  return LetInterruptsIn();
}

// What one call needs beside its environ. Used again for another one, unless the application has kept
// something of it: most requests make no Python objects but the environ.
struct WsgiCall::Context {
  explicit Context(const WsgiOptions& options) : response(options) {}

  void Attach(Exchange& exchange) {
    response.Begin(exchange);
    callables.Attach(response);
    AttachWsgiInput(input, exchange.body());
  }
  void Detach() {
    callables.Detach();
    DetachWsgiInput(input);
  }
  [[nodiscard]] bool may_be_used_again() const {
    return callables.are_unshared() && Py_REFCNT(input.get()) == 1 && response.keeps_little();
  }

  WsgiResponse response;
  ResponseCallables callables;
  PyRef input;
};

struct WsgiCall::Impl {
  static constexpr std::size_t kMostSpare = 64;

  PyRef application;
  WsgiOptions options;
  FileWrapper file_wrapper;
  WsgiEnviron environ;
  PyRef input_type;
  PyRef start_response_type;
  std::vector<std::unique_ptr<Context>> spare;  // the GIL guards it

  bool Create();
  std::unique_ptr<Context> NewContext();  // null with a Python exception set
  PyRef CallApplication(const PyRef& variables, const Context& context) const;
  bool SendBody(PyObject* result, const Exchange& exchange, WsgiResponse& response) const;
  void RunApplication(Exchange& exchange, Context& context);
};

bool WsgiCall::Impl::Create() {
  if (!file_wrapper.Create() || !environ.Create(options, file_wrapper.type())) return false;
  input_type = MakeWsgiInputType();
  if (input_type) start_response_type = MakeStartResponseType();
  return static_cast<bool>(start_response_type);
}

std::unique_ptr<WsgiCall::Context> WsgiCall::Impl::NewContext() {
  if (!spare.empty()) {
    std::unique_ptr<Context> context = std::move(spare.back());
    spare.pop_back();
    return context;
  }
  auto context = std::make_unique<Context>(options);
  context->input = NewWsgiInput(input_type);
  const bool created = context->input && context->callables.Create(start_response_type);
  return created ? std::move(context) : nullptr;
}

PyRef WsgiCall::Impl::CallApplication(const PyRef& variables, const Context& context) const {
  PyObject* const arguments[] = {variables.get(), context.callables.start_response().get()};
  return PyRef::Steal(PyObject_Vectorcall(application.get(), arguments, 2, nullptr));
}

bool WsgiCall::Impl::SendBody(PyObject* result, const Exchange& exchange,
                              WsgiResponse& response) const {
  const bool may_send_file = options.sendfile && exchange.can_send_file();
  const auto file = may_send_file ? file_wrapper.Region(result) : std::nullopt;
  const bool sent = file                      ? response.SendFile(*file)
                    : IsPlainSequence(result) ? SendSequence(result, response)
                                              : SendIterable(result, response);
  return sent && response.SendHead(0);  // if there was no body to send it with
}

void WsgiCall::Impl::RunApplication(Exchange& exchange, Context& context) {
  WsgiResponse& response = context.response;
  const PyRef variables = environ.Build(exchange, context.input, context.callables.early_hints());
  const PyRef result = variables ? CallApplication(variables, context) : PyRef();
  LeaveForkedChild();
  const bool sent = result && SendBody(result.get(), exchange, response);
  LeaveForkedChild();
  response.EndWriting();
  if (sent && PyErr_Occurred() == nullptr) {
    Succeed(exchange, response);
  } else {
    Fail(exchange, response);
  }
  if (result && !CallClose(result.get())) LogException(exchange);
  if (variables && !exchange.logged_variables().empty()) LogVariables(variables.get(), exchange);
  LeaveForkedChild();
}

WsgiCall::WsgiCall(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

WsgiCall::~WsgiCall() = default;

Result<std::unique_ptr<WsgiCall>> WsgiCall::Create(PyRef application, const WsgiOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->application = std::move(application);
  impl->options = options;
  if (!impl->Create()) return FetchError("cannot prepare WSGI calls", exit_code::kConfig);
  return std::unique_ptr<WsgiCall>(new WsgiCall(std::move(impl)));
}

void WsgiCall::Run(Exchange& exchange) {
  std::unique_ptr<Context> context = impl_->NewContext();
  if (!context) {
    LogException(exchange);
    return exchange.SendError(500, "");
  }
  context->Attach(exchange);
  impl_->RunApplication(exchange, *context);
  context->Detach();
  if (context->may_be_used_again() && impl_->spare.size() < Impl::kMostSpare) {
    impl_->spare.push_back(std::move(context));
  }
}

}  // namespace gunid
