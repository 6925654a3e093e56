// Signals of a worker become calls on its event loop. Handlers, not a blocked mask: a mask would be
// inherited by the programs that the application starts. There is one instance per process, on the
// main thread.
//
//   TERM drain; INT, QUIT stop at once; USR1 reopen the logs. Before Attach - while the application
//   is imported - TERM, INT and QUIT end the process.
#pragma once

#include <functional>

#include "base/event_loop.h"

namespace gunid {

// HUP, USR1, USR2, TTIN, TTOU and WINCH are for the supervisor. Sent to all processes of that name
// they must not end or stop zygote and workers.
void IgnoreSupervisorSignals();

// For a process that the application forks: it is no worker. Async-signal-safe.
void RestoreDefaultSignals();

// Called on the loop, once WorkerSignals was attached to it.
struct WorkerOrders {
  std::function<void()> drain;
  std::function<void()> stop;
  std::function<void()> reopen_logs;
};

class WorkerSignals : public EventHandler {
 public:
  // Installs the handlers.
  explicit WorkerSignals(WorkerOrders orders);
  ~WorkerSignals() override;

  // The application may have installed handlers of its own while it was imported: ours again, and
  // from now on by the loop.
  void Attach(EventLoop& loop);
  // Before the loop is destroyed: from here on the process is left alone but for SIGKILL.
  void Detach();

 private:
  void OnEvents(std::uint32_t events) override;
  void Install();

  const WorkerOrders orders_;
  EventLoop* loop_ = nullptr;
  UniqueFd read_end_;  // of a pipe; each byte is a signal's number
};

}  // namespace gunid
