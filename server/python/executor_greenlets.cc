#include "python/executor_greenlets.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <string_view>
#include <utility>

#include "base/forked_child.h"
#include "gunid/exit_codes.h"
#include "ipc/scoreboard_layout.h"
#include "ipc/spawn_protocol.h"
#include "python/greenlets_source.h"
#include "python/py_text.h"
#include "python/py_type.h"
#include "python/python_error.h"
#include "python/request_timeout.h"
#include "python/stack_chunks.h"

namespace gunid {
namespace {

constexpr char kModule[] = "_gunid_greenlets";
constexpr char kFileName[] = "<gunid greenlets>";
// After which the requests that come in let the hub look at everybody else.
constexpr std::chrono::milliseconds kLongestPump(5);

PyRef LoadModule() {
  const PyRef code = PyRef::Steal(Py_CompileString(kGreenletsSource, kFileName, Py_file_input));
  return code ? PyRef::Steal(PyImport_ExecCodeModule(kModule, code.get())) : PyRef();
}

void WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void LogError(const char* what) {
  const PythonError error = FetchPythonError();
  spdlog::error("{}: {}\n{}", what, error.summary, error.traceback);
}

}  // namespace

// The executor as python/greenlets.py sees it. None of its methods raises where the hub calls it.
struct GreenletWorker {
  PyObject base;
  GreenletExecutor* executor;

  static GreenletExecutor& Of(PyObject* self) {
    return *reinterpret_cast<GreenletWorker*>(self)->executor;
  }

  static PyObject* Descriptor(PyObject* self, PyObject* /*unused*/) {
    return PyLong_FromLong(Of(self).engine_->loop().fd());
  }

  static PyObject* Pump(PyObject* self, PyObject* /*unused*/) {
    return GuardCallback<PyObject*>(nullptr, [self]() -> PyObject* {
      Of(self).Pump();
      Py_RETURN_NONE;
    });
  }

  static PyObject* OnTimer(PyObject* self, PyObject* unused) {
    Of(self).timer_at_ = TimePoint::max();
    return Pump(self, unused);
  }

  static PyObject* Execute(PyObject* self, PyObject* serial) {
    return GuardCallback<PyObject*>(nullptr, [self, serial]() -> PyObject* {
      Of(self).Execute(serial);
      Py_RETURN_NONE;
    });
  }

  static PyObject* TakeCancelled(PyObject* self, PyObject* /*unused*/) {
    return GuardCallback<PyObject*>(nullptr, [self] { return Of(self).TakeCancelled().Release(); });
  }

  static PyRef New(GreenletExecutor& executor);
};

namespace {

PyMethodDef kWorkerMethods[] = {
    {"fd", GreenletWorker::Descriptor, METH_NOARGS, "Readable when pump() has something to do."},
    {"pump", GreenletWorker::Pump, METH_NOARGS, "Hub: handles what has happened."},
    {"on_timer", GreenletWorker::OnTimer, METH_NOARGS, "Hub: the timer has fired."},
    {"execute", GreenletWorker::Execute, METH_O, "The body of the greenlet of a request."},
    {"take_cancelled", GreenletWorker::TakeCancelled, METH_NOARGS,
     "Serials of requests that are to be interrupted."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot kWorkerSlots[] = {
    {Py_tp_doc, const_cast<char*>("What the hub of a gevent worker calls.")},
    {Py_tp_methods, kWorkerMethods},
    {0, nullptr},
};

PyType_Spec kWorkerSpec = {"gunid.GreenletWorker", sizeof(GreenletWorker), 0, Py_TPFLAGS_DEFAULT,
                           kWorkerSlots};

}  // namespace

PyRef GreenletWorker::New(GreenletExecutor& executor) {
  const PyRef type = MakePrivateType(kWorkerSpec);
  PyRef worker = type ? AllocateObject(type) : PyRef();
  if (worker) reinterpret_cast<GreenletWorker*>(worker.get())->executor = &executor;
  return worker;
}

std::vector<std::string> GreenletWarnings(const Settings& settings) {
  std::vector<std::string> warnings;
  if (!settings.greenlets()) return warnings;
  if (settings.threads > 1) {
    warnings.emplace_back("threads is ignored: a gevent worker runs its requests in greenlets");
  }
  if (settings.worker_connections > kMaxInFlight) {
    warnings.push_back("worker_connections is " + std::to_string(settings.worker_connections) +
                       ", but a gevent worker runs no more than " + std::to_string(kMaxInFlight) +
                       " requests at a time");
  }
  return warnings;
}

bool WaitForClientInGreenlet(const Exchange& /*exchange*/) {
  const PyRef module = PyRef::Steal(PyImport_ImportModule(kModule));
  return module && PyRef::Steal(PyObject_CallMethod(module.get(), "pause", nullptr));
}

GreenletExecutor::GreenletExecutor(WsgiCall& call, std::int64_t connections)
    : call_(call), capacity_(static_cast<int>(std::min(connections, std::int64_t{kMaxInFlight}))) {}

void GreenletExecutor::Run(Engine& engine) {
  if (!Start(engine)) {
    LogError("the gevent worker cannot start");
    _exit(exit_code::kBootError);
  }
  engine.Begin();
  WaitUntilFinished();
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
  }
  engine.End();
  if (!PyRef::Steal(PyObject_CallMethod(greenlets_.get(), "close", nullptr))) PyErr_Clear();
  start_ = requests_ = greenlets_ = {};
}

bool GreenletExecutor::Start(Engine& engine) {
  engine_ = &engine;
  KeepStackChunks();
  const PyRef module = LoadModule();
  const PyRef worker = module ? GreenletWorker::New(*this) : PyRef();
  if (worker) requests_ = PyRef::Steal(PyDict_New());
  if (requests_) {
    greenlets_ = PyRef::Steal(PyObject_CallMethod(module.get(), "Greenlets", "OOi", worker.get(),
                                                  requests_.get(), SIGRTMIN + kInterruptSignal));
  }
  if (greenlets_) start_ = PyRef::Steal(PyObject_GetAttrString(greenlets_.get(), "start"));
  if (!start_) return false;
  main_thread_ = pthread_self();
  const std::lock_guard lock(mutex_);
  running_ = true;
  return true;
}

// The main greenlet is woken before that when a greenlet of the application raises SystemExit,
// which gevent throws at it. That ends no worker.
void GreenletExecutor::WaitUntilFinished() {
  while (!engine_->finished()) {
    const PyRef hub_lives = PyRef::Steal(PyObject_CallMethod(greenlets_.get(), "wait", nullptr));
    if (!hub_lives) {
      LogError("ignored what a greenlet of the application raised");
    } else if (hub_lives.get() != Py_True) {
      spdlog::error(
          "gevent's hub does not go on, which the application has caused: the worker ends");
      engine_->Stop();
    }
  }
}

void GreenletExecutor::Pump() {
  if (InForkedChild()) {  // the engine is its parent's
    if (!PyRef::Steal(PyObject_CallMethod(greenlets_.get(), "close", nullptr))) PyErr_Clear();
    return;
  }
  pumping_ = true;
  const Clock clock;
  const TimePoint end = clock.Now() + kLongestPump;
  while (Exchange* exchange = engine_->Poll()) {
    StartRequest(*exchange);
    if (clock.Now() >= end) break;
  }
  if (any_orders_.load(std::memory_order_relaxed)) TakeOrders();
  pumping_ = false;
  AfterTurn();
}

void GreenletExecutor::StartRequest(Exchange& exchange) {
  starting_ = &exchange;
  const PyRef serial = PyRef::Steal(PyLong_FromUnsignedLongLong(exchange.serial()));
  PyObject* const arguments[] = {serial.get()};
  const bool started =
      serial && PyRef::Steal(PyObject_Vectorcall(start_.get(), arguments, 1, nullptr));
  if (!started) LogError("a greenlet failed");
  if (starting_ != nullptr) Refuse(exchange, serial);
}

// There is no greenlet for it.
void GreenletExecutor::Refuse(Exchange& exchange, const PyRef& serial) {
  starting_ = nullptr;
  if (serial && PyDict_DelItem(requests_.get(), serial.get()) != 0) PyErr_Clear();
  exchange.SendError(500, "");
  engine_->Complete(exchange);
}

void GreenletExecutor::Execute(PyObject* serial) {
  Exchange& exchange = *std::exchange(starting_, nullptr);
  call_.Run(exchange);
  // From here on nobody throws anything into this greenlet.
  if (PyDict_DelItem(requests_.get(), serial) != 0) PyErr_Clear();
  engine_->Complete(exchange);
  if (!pumping_) AfterTurn();
}

// The hub may wait now. Lets it come back when the engine has something to do that no event tells of.
void GreenletExecutor::AfterTurn() {
  engine_->FlushLog();
  if (engine_->finished()) {
    if (std::exchange(finishing_, true)) return;
    if (!PyRef::Steal(PyObject_CallMethod(greenlets_.get(), "wake", nullptr))) {
      LogError("the gevent worker cannot end");
    }
    return;
  }
  const TimePoint next = engine_->NextTurn();
  if (next >= timer_at_) return;
  const double delay = std::max(0.0, Seconds(next - Clock().Now()));
  if (PyRef::Steal(PyObject_CallMethod(greenlets_.get(), "set_timer", "d", delay))) {
    timer_at_ = next;
  } else {
    LogError("the gevent worker has no timer");
  }
}

void GreenletExecutor::Cancel(std::uint64_t serial) {
  const std::lock_guard lock(mutex_);
  if (!running_) return;
  cancelled_.push_back(serial);
  any_orders_.store(true, std::memory_order_relaxed);
  engine_->loop().Wake();
  // It may be the one that keeps the hub from waking.
  pthread_kill(main_thread_, SIGRTMIN + kInterruptSignal);
}

void GreenletExecutor::WriteStacks(std::function<void()> written) {
  const std::lock_guard lock(mutex_);
  if (!running_) return;
  written_.push_back(std::move(written));
  any_orders_.store(true, std::memory_order_relaxed);
  engine_->loop().Wake();
}

void GreenletExecutor::TakeOrders() {
  any_orders_.store(false, std::memory_order_relaxed);
  WriteStacksNow();
  const PyRef serials = TakeCancelled();
  if (!serials ||
      !PyRef::Steal(PyObject_CallMethod(greenlets_.get(), "cancel", "O", serials.get()))) {
    LogError("a request could not be interrupted");
  }
}

void GreenletExecutor::WriteStacksNow() {
  std::vector<std::function<void()>> written;
  {
    const std::lock_guard lock(mutex_);
    written.swap(written_);
  }
  if (written.empty()) return;
  const PyRef stacks = PyRef::Steal(PyObject_CallMethod(greenlets_.get(), "stacks", nullptr));
  const std::optional<std::string> text = stacks ? Utf8(stacks.get()) : std::nullopt;
  if (text) {
    WriteAll(kStackFd, *text);
  } else {
    LogError("the stacks of greenlets cannot be told");
  }
  for (const std::function<void()>& tell : written) tell();
}

PyRef GreenletExecutor::TakeCancelled() {
  std::vector<std::uint64_t> serials;
  {
    const std::lock_guard lock(mutex_);
    serials.swap(cancelled_);
  }
  PyRef list = PyRef::Steal(PyList_New(static_cast<Py_ssize_t>(serials.size())));
  for (std::size_t i = 0; list && i < serials.size(); ++i) {
    PyObject* const serial = PyLong_FromUnsignedLongLong(serials[i]);
    if (serial == nullptr) return {};
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), serial);
  }
  return list;
}

}  // namespace gunid
