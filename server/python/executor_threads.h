// The threaded worker (gthread): N calls of the application at a time, on N + 1 threads that take
// turns at running the engine's loop (engine/leadership.h). The main thread only waits for them: to
// Python it is a thread unlike the others, and a request must not meet it by chance.
#pragma once

#include <atomic>

#include "engine/executor.h"
#include "python/request_timeout.h"
#include "python/wsgi_call.h"

namespace gunid {

// Made, run and destroyed on the main thread with the GIL held.
class ThreadExecutor : public Executor {
 public:
  class Caller;

  ThreadExecutor(WsgiCall& call, int threads)
      : call_(call), threads_(threads), interrupts_(threads + 1) {}

  void Run(Engine& engine) override;
  [[nodiscard]] int capacity() const override { return threads_; }
  [[nodiscard]] bool may_start() override;
  [[nodiscard]] bool keeps_alive() const override { return true; }
  void Cancel(std::uint64_t serial) override;

 private:
  WsgiCall& call_;
  const int threads_;
  ThreadInterrupts interrupts_;
  std::atomic<int> waiting_for_gil_{0};     // threads that have a request to begin with
  std::atomic<bool> start_refused_{false};  // because of them
};

}  // namespace gunid
