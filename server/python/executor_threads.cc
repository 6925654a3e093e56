#include "python/executor_threads.h"

#include <spdlog/spdlog.h>

#include <optional>
#include <system_error>

#include "python/gil.h"

namespace gunid {

void ThreadExecutor::Start(CompletionSink& sink) {
  sink_ = &sink;
  main_thread_state_ = PyEval_SaveThread();
  try {
    for (int i = 0; i < thread_count_; ++i) threads_.emplace_back([this] { RunThread(); });
  } catch (const std::system_error& error) {
    if (threads_.empty()) throw;
    spdlog::error("only {} of {} threads could be started: {}", threads_.size(), thread_count_,
                  error.what());
  }
}

void ThreadExecutor::Submit(Exchange& exchange) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(&exchange);
  }
  ready_.notify_one();
}

void ThreadExecutor::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  PyEval_RestoreThread(main_thread_state_);
}

void ThreadExecutor::RunThread() {
  const GilHeld gil;  // one thread state for the whole life of the thread
  while (Exchange* exchange = Next()) {
    call_.Run(*exchange);
    sink_->Completed(*exchange);
  }
}

Exchange* ThreadExecutor::Next() {
  const GilReleased released;
  std::unique_lock lock(mutex_);
  ready_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  if (queue_.empty()) return nullptr;
  Exchange* const exchange = queue_.front();
  queue_.pop_front();
  return exchange;
}

}  // namespace gunid
