// The ways in which threads share the work of a worker: running the engine's loop and calling the
// application. Each function returns when the engine is finished, on all threads that take part; the
// one that leads then has ended the engine.
#pragma once

#include "base/event_loop.h"
#include "engine/engine.h"
#include "engine/leadership.h"

namespace gunid {

// What a thread brings with it. BeforeWait() is where it gives up what only calls need, and others
// may be waiting for.
class ApplicationCaller : public WaitObserver {
 public:
  virtual void Call(Exchange& exchange) = 0;
};

// For any number of threads that may all call the application: one more than the calls that may run
// at a time, so that one is left for the loop. `leads`: of exactly one of them, at the beginning.
void ServeTogether(Engine& engine, Leadership& leadership, ApplicationCaller& caller, bool leads);

// For one thread that alone calls the application, beside one that runs KeepLoopGoing.
void ServeAlone(Engine& engine, Leadership& leadership, ApplicationCaller& caller);

// Runs the engine's loop as long as the other thread is in a long call.
void KeepLoopGoing(Engine& engine, Leadership& leadership);

}  // namespace gunid
