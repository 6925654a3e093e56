// The sync worker: the application runs on the engine's own thread, one request at a time, and
// connections are closed after each response. The GIL is kept over the engine's non-blocking work
// and given up only where its loop would block.
#pragma once

#include "engine/executor.h"
#include "python/wsgi_call.h"

namespace gunid {

// Made, used and destroyed on the main thread with the GIL held.
class InlineExecutor : public Executor {
 public:
  explicit InlineExecutor(WsgiCall& call) : call_(call) {}

  void Start(CompletionSink& sink) override { sink_ = &sink; }
  void Submit(Exchange& exchange) override;
  [[nodiscard]] int capacity() const override { return 1; }
  [[nodiscard]] bool keeps_alive() const override { return false; }
  void Stop() override {}
  void BeforeWait() override;
  void AfterWait() override;

 private:
  WsgiCall& call_;
  CompletionSink* sink_ = nullptr;
  PyThreadState* thread_state_ = nullptr;  // while the loop waits
};

}  // namespace gunid
