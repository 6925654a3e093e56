// Where the application runs: on the main thread, on threads, or in greenlets. An executor drives
// the engine: it lets one thread at a time - the one that leads - run the engine's loop until an
// exchange is to be executed, runs the application for it, and gives it back.
#pragma once

#include <cstdint>
#include <functional>

namespace gunid {

class Engine;

class Executor {
 public:
  virtual ~Executor() = default;
  // Main thread. Engine::Begin, turns of the engine and calls of the application until the engine is
  // finished, Engine::End. If calls are still running then, this does not return
  // (EngineEvents::cut_short).
  virtual void Run(Engine& engine) = 0;
  // How many exchanges may be executed at a time; the engine accepts no more than that.
  [[nodiscard]] virtual int capacity() const = 0;
  // Leading thread. A call could begin now: false while one waits for the others' Python (the GIL).
  // The engine then leaves new connections to other workers, until a turn finds it true.
  [[nodiscard]] virtual bool may_start() { return true; }
  // Idle connections may be kept: false for the sync worker.
  [[nodiscard]] virtual bool keeps_alive() const = 0;
  // Any thread. Raises gunid.RequestTimeout where the request `serial` is executed; nothing if it has
  // ended.
  virtual void Cancel(std::uint64_t serial) = 0;
  // Any thread, after the engine has begun. See StacksWanted in ipc/spawn_protocol.h: `written`
  // is called on the main thread afterwards. Executors without greenlets have nothing to write.
  virtual void WriteStacks(std::function<void()> /*written*/) {}
};

}  // namespace gunid
