#include "python/request_timeout.h"

#include <unistd.h>

#include <cassert>
#include <csignal>

#include "gunid/exit_codes.h"
#include "gunid/version.h"
#include "python/python_error.h"

namespace gunid {
namespace {

constexpr char kModuleDoc[] = "What gunid offers to the applications that it runs.";
constexpr char kRequestTimeoutDoc[] =
    "Raised in the application when its request is over the deadline (--timeout), or was "
    "cancelled\n"
    "by an operator (gunictl cancel). Not an Exception, so that `except Exception` lets it pass.\n"
    "Clean up and let it pass: the client gets a 504. Who does not is killed with the worker.";

// Whose signal handler is installed. Read by the handler, on the main thread.
std::atomic<MainThreadInterrupt*> g_installed{nullptr};

PyObject* CreateModule() {
  static PyModuleDef definition{
      PyModuleDef_HEAD_INIT, "gunid", kModuleDoc, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
  PyRef module = PyRef::Steal(PyModule_Create(&definition));
  PyObject* const type = RequestTimeoutType();
  if (!module || type == nullptr ||
      PyModule_AddObjectRef(module.get(), "RequestTimeout", type) != 0 ||
      PyModule_AddStringConstant(module.get(), "__version__", GUNID_VERSION) != 0) {
    return nullptr;
  }
  return module.Release();
}

}  // namespace

void RegisterGunidModule() {
  PyImport_AppendInittab("gunid", CreateModule);
}

PyObject* RequestTimeoutType() {
  // For the life of the interpreter, which is one per process.
  static PyObject* type = nullptr;
  if (type == nullptr) {
    type = PyErr_NewExceptionWithDoc("gunid.RequestTimeout", kRequestTimeoutDoc,
                                     PyExc_BaseException, nullptr);
  }
  return type;
}

// Python looks for signals and for asynchronous exceptions when it begins to execute a function.
bool LetInterruptsIn() {
  static PyObject* nothing = nullptr;  // for the life of the interpreter
  if (nothing == nullptr) nothing = Py_CompileString("pass", "<gunid>", Py_file_input);
  const PyRef globals = nothing != nullptr ? PyRef::Steal(PyDict_New()) : PyRef();
  return globals && PyRef::Steal(PyEval_EvalCode(nothing, globals.get(), globals.get()));
}

MainThreadInterrupt::~MainThreadInterrupt() {
  MainThreadInterrupt* self = this;
  g_installed.compare_exchange_strong(self, nullptr);
}

Status MainThreadInterrupt::Install() {
  static PyMethodDef definition{"interrupt", HandleSignal, METH_VARARGS, nullptr};
  const PyRef handler = PyRef::Steal(PyCFunction_New(&definition, nullptr));
  const PyRef signal = PyRef::Steal(PyImport_ImportModule("signal"));
  const PyRef installed =
      handler && signal && RequestTimeoutType() != nullptr
          ? PyRef::Steal(PyObject_CallMethod(signal.get(), "signal", "iO",
                                             SIGRTMIN + kInterruptSignal, handler.get()))
          : PyRef();
  if (!installed) {
    return FetchError("cannot install the signal handler that interrupts requests",
                      exit_code::kBootError);
  }
  main_thread_ = pthread_self();
  worker_ = getpid();
  g_installed = this;
  return {};
}

void MainThreadInterrupt::Interrupt(std::uint64_t serial) {
  // Two at a time would write each other's target.
  const std::lock_guard lock(interrupting_);
  if (serial == 0 || running_.load(std::memory_order_relaxed) != serial) return;
  target_.store(serial, std::memory_order_relaxed);
  pthread_kill(main_thread_, SIGRTMIN + kInterruptSignal);
}

// Called by Python on the main thread some time after the signal: then another request may be
// running, or none.
PyObject* MainThreadInterrupt::HandleSignal(PyObject* /*module*/, PyObject* /*arguments*/) {
  MainThreadInterrupt* const installed = g_installed;
  if (installed == nullptr || !installed->TakeTarget()) Py_RETURN_NONE;
  PyErr_SetNone(RequestTimeoutType());
  return nullptr;
}

bool MainThreadInterrupt::TakeTarget() {
  std::uint64_t running = running_.load(std::memory_order_relaxed);
  if (running == 0 || getpid() != worker_) return false;
  return target_.compare_exchange_strong(running, 0, std::memory_order_relaxed);
}

void ThreadInterrupts::Begin(int thread, std::uint64_t serial) {
  assert(PyGILState_Check());
  calls_.at(static_cast<std::size_t>(thread)) = {PyThread_get_thread_ident(), serial, false};
}

void ThreadInterrupts::End(int thread) {
  assert(PyGILState_Check());
  Call& call = calls_.at(static_cast<std::size_t>(thread));
  if (call.interrupted) PyThreadState_SetAsyncExc(call.ident, nullptr);
  call = {};
}

void ThreadInterrupts::Interrupt(std::uint64_t serial) {
  assert(PyGILState_Check());
  if (serial == 0) return;
  for (Call& call : calls_) {
    if (call.serial != serial) continue;
    call.interrupted = true;
    PyThreadState_SetAsyncExc(call.ident, RequestTimeoutType());
  }
}

}  // namespace gunid
