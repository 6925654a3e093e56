// The sync worker: the application runs on the main thread, one request at a time, and connections
// are closed after each response. A second thread, without Python, keeps the engine's loop going while
// a request takes long.
#pragma once

#include "engine/executor.h"
#include "python/request_timeout.h"
#include "python/wsgi_call.h"

namespace gunid {

// Made, run and destroyed on the main thread with the GIL held.
class InlineExecutor : public Executor {
 public:
  explicit InlineExecutor(WsgiCall& call) : call_(call) {}

  void Run(Engine& engine) override;
  [[nodiscard]] int capacity() const override { return 1; }
  [[nodiscard]] bool keeps_alive() const override { return false; }
  void Cancel(std::uint64_t serial) override { interrupt_.Interrupt(serial); }

 private:
  WsgiCall& call_;
  MainThreadInterrupt interrupt_;
};

}  // namespace gunid
