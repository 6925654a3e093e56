// The code in a worker process: waits for its Go, imports the application, and runs engine and
// executor until it is told to drain or to stop. The supervisor knows it as a WorkerHandle. Main
// thread of its own process, forked from the zygote with the GIL held.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/log_file.h"
#include "config/settings.h"
#include "engine/access_log.h"
#include "engine/executor.h"
#include "ipc/handover.h"
#include "ipc/listeners.h"
#include "ipc/message_socket.h"
#include "ipc/scoreboard.h"
#include "ipc/spawn_protocol.h"
#include "python/py_ref.h"
#include "python/wsgi_call.h"

namespace gunid {

struct WorkerOptions {
  Settings settings;
  std::vector<Listener> listeners;
  Handover handover;
  SlotWriter slot;
  std::optional<LogFile> access_log;
  MessageSocket channel;  // to the supervisor
  PyRef application;      // preloaded, or empty
};

class Worker {
 public:
  explicit Worker(WorkerOptions options) : options_(std::move(options)) {}

  // Returns the exit code.
  int Run();

 private:
  bool WaitForGo();
  std::unique_ptr<Executor> MakeExecutor(WsgiCall& call) const;
  int Serve(PyRef application);
  std::optional<AccessLog> MakeAccessLog();
  int FailToBoot(const Error& error);
  [[nodiscard]] std::uint64_t RequestLimit() const;

  WorkerOptions options_;
};

}  // namespace gunid
