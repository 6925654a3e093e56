#include "python/executor_threads.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <vector>

#include "engine/serving.h"
#include "python/gil.h"

namespace gunid {
namespace {

constexpr std::chrono::microseconds kThreadPatience(500);

}  // namespace

// GIL held when it is made and destroyed.
class ThreadExecutor::Caller : public ApplicationCaller {
 public:
  Caller(ThreadExecutor& executor, Engine& engine, int thread)
      : executor_(executor), engine_(engine), thread_(thread) {}

  void BeforeWait() override { gil_.GiveUp(); }
  void Call(Exchange& exchange) override {
    if (!gil_.held()) TakeGil();
    executor_.interrupts_.Begin(thread_, exchange.serial());
    executor_.call_.Run(exchange);
    executor_.interrupts_.End(thread_);
  }

 private:
  void TakeGil() {
    executor_.waiting_for_gil_.fetch_add(1);
    gil_.Take();
    executor_.waiting_for_gil_.fetch_sub(1);
    // Whoever leads may be waiting for this.
    if (executor_.start_refused_.exchange(false)) engine_.loop().Wake();
  }

  ThreadExecutor& executor_;
  Engine& engine_;
  const int thread_;
  GilKeeper gil_;
};

bool ThreadExecutor::may_start() {
  if (waiting_for_gil_.load(std::memory_order_relaxed) == 0) return true;
  start_refused_ = true;
  return waiting_for_gil_ == 0;  // it may have got it just now, without seeing that
}

void ThreadExecutor::Run(Engine& engine) {
  const GilReleased released;
  Leadership leadership(kThreadPatience);
  const auto run_thread = [&](int thread) {
    const GilHeld gil;  // one thread state for the whole life of the thread
    Caller caller(*this, engine, thread);
    caller.BeforeWait();
    if (thread == 0) engine.Begin();
    ServeTogether(engine, leadership, caller, thread == 0);
  };
  std::vector<std::thread> threads;
  try {
    // The first comes last: it must find the others.
    for (int thread = threads_; thread >= 0; --thread) threads.emplace_back(run_thread, thread);
  } catch (const std::system_error& error) {
    spdlog::critical("cannot start {} threads: {}", threads_ + 1, error.what());
    _exit(EXIT_FAILURE);
  }
  for (std::thread& thread : threads) thread.join();
}

void ThreadExecutor::Cancel(std::uint64_t serial) {
  const GilHeld gil;
  interrupts_.Interrupt(serial);
}

}  // namespace gunid
