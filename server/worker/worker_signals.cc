#include "worker/worker_signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace gunid {
namespace {

constexpr int kHandled[] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1};
constexpr int kSupervisors[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGWINCH};

// What a handler may use: lock-free, set before the handlers are installed.
std::atomic<int> g_pipe{-1};
std::atomic<bool> g_attached{false};
std::atomic<pid_t> g_worker{0};
static_assert(std::atomic<int>::is_always_lock_free);

void HandleSignal(int signal) {
  if (getpid() != g_worker) {
    // A process that the application has forked just now: it has not come to RestoreDefaultSignals.
    std::signal(signal, SIG_DFL);
    raise(signal);
    return;
  }
  if (!g_attached && signal != SIGUSR1) _exit(EXIT_SUCCESS);
  const int saved_errno = errno;
  const auto byte = static_cast<unsigned char>(signal);
  [[maybe_unused]] const ssize_t written = write(g_pipe, &byte, sizeof byte);
  errno = saved_errno;
}

void IgnoreSignal(int /*signal*/) {}

void SetHandler(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

}  // namespace

// By a handler: SIG_IGN would be inherited by programs that the application starts.
void IgnoreSupervisorSignals() {
  for (const int signal : kSupervisors) SetHandler(signal, IgnoreSignal);
}

void RestoreDefaultSignals() {
  for (const int signal : kHandled) SetHandler(signal, SIG_DFL);
  for (const int signal : kSupervisors) SetHandler(signal, SIG_DFL);
}

WorkerSignals::WorkerSignals(WorkerOrders orders) : orders_(std::move(orders)) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
  read_end_.Reset(fds[0]);
  g_pipe = fds[1];
  g_worker = getpid();
  Install();
}

WorkerSignals::~WorkerSignals() {
  Detach();
}

void WorkerSignals::Attach(EventLoop& loop) {
  loop_ = &loop;
  loop.Add(read_end_.get(), EPOLLIN, this);
  g_attached = true;
  Install();
}

void WorkerSignals::Detach() {
  if (loop_ != nullptr) loop_->Remove(read_end_.get(), this);
  loop_ = nullptr;
}

void WorkerSignals::Install() {
  IgnoreSupervisorSignals();
  for (const int signal : kHandled) SetHandler(signal, HandleSignal);
}

void WorkerSignals::OnEvents(std::uint32_t /*events*/) {
  unsigned char signal = 0;
  while (read(read_end_.get(), &signal, sizeof signal) == sizeof signal) {
    switch (signal) {
      case SIGTERM:
        orders_.drain();
        break;
      case SIGUSR1:
        orders_.reopen_logs();
        break;
      default:
        orders_.stop();
    }
  }
}

}  // namespace gunid
