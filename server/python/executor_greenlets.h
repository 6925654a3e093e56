// The gevent worker: each request runs in a greenlet of its own, all of them and the engine on the
// main thread. gevent's hub watches the descriptor of the engine's loop (python/greenlets.py).
//
// A greenlet's part of the C stack is moved away while others run: what lies on it must not be used
// from elsewhere, by way of a pointer that the heap keeps.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "config/settings.h"
#include "engine/engine.h"
#include "engine/executor.h"
#include "python/wsgi_call.h"

namespace gunid {

// What of the settings a gevent worker does not do; a line each.
std::vector<std::string> GreenletWarnings(const Settings& settings);

// WsgiOptions::wait_for_client: the other greenlets run meanwhile.
bool WaitForClientInGreenlet(const Exchange& exchange);

// Made, run and destroyed on the main thread with the GIL held.
class GreenletExecutor : public Executor {
 public:
  // `connections`: worker_connections. After PatchForGreenlets().
  GreenletExecutor(WsgiCall& call, std::int64_t connections);

  void Run(Engine& engine) override;
  [[nodiscard]] int capacity() const override { return capacity_; }
  [[nodiscard]] bool keeps_alive() const override { return true; }
  void Cancel(std::uint64_t serial) override;
  void WriteStacks(std::function<void()> written) override;

 private:
  friend struct GreenletWorker;

  // Main greenlet.
  bool Start(Engine& engine);  // false with a Python exception set
  void WaitUntilFinished();

  // Hub.
  void Pump();
  void StartRequest(Exchange& exchange);
  void Refuse(Exchange& exchange, const PyRef& serial);
  void TakeOrders();
  void WriteStacksNow();

  // A request's greenlet, from its beginning to its end.
  void Execute(PyObject* serial);

  // All of these.
  void AfterTurn();
  PyRef TakeCancelled();  // a list of serials; nothing with a Python exception set

  WsgiCall& call_;
  const int capacity_;
  Engine* engine_ = nullptr;
  // Kept while Run() runs.
  PyRef greenlets_;               // python/greenlets.py: Greenlets
  PyRef requests_;                // dict: serial -> greenlet, while the application is called
  PyRef start_;                   // greenlets_.start
  Exchange* starting_ = nullptr;  // for the next Execute()
  TimePoint timer_at_ = TimePoint::max();  // when the hub calls on_timer()
  bool pumping_ = false;
  bool finishing_ = false;  // the main greenlet has been woken

  pthread_t main_thread_{};
  std::atomic<bool> any_orders_{false};
  std::mutex mutex_;
  bool running_ = false;                        // guarded by mutex_, as are the following
  std::vector<std::uint64_t> cancelled_;        // serials
  std::vector<std::function<void()>> written_;  // to be called when the stacks are written
};

}  // namespace gunid
