// Where the application runs: inline on the engine's thread, or on threads of its own. The engine
// knows only this.
#pragma once

#include "base/event_loop.h"
#include "engine/exchange.h"

namespace gunid {

// How an executor gives an exchange back. Implemented by the engine; from any thread.
class CompletionSink {
 public:
  virtual ~CompletionSink() = default;
  // The executor's last touch of `exchange`, after Finish, Abort or SendError.
  virtual void Completed(Exchange& exchange) = 0;
};

class Executor : public WaitObserver {
 public:
  // Engine thread, before the first Submit.
  virtual void Start(CompletionSink& sink) = 0;
  // Engine thread. Runs the exchange now, or hands it to another thread; either way Completed() is
  // called for it once.
  virtual void Submit(Exchange& exchange) = 0;
  // Engine thread. How many exchanges may be submitted and not yet completed; the engine accepts
  // and submits no more.
  [[nodiscard]] virtual int capacity() const = 0;
  // Engine thread. Idle connections may be kept: false for the sync worker.
  [[nodiscard]] virtual bool keeps_alive() const = 0;
  // Engine thread, when nothing is in flight any more: ends the threads.
  virtual void Stop() = 0;
};

}  // namespace gunid
