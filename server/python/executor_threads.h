// The threaded worker (gthread): the application runs on N threads, the engine on the main thread
// without the GIL.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/executor.h"
#include "python/wsgi_call.h"

namespace gunid {

// Made on the main thread with the GIL held. Between Start and Stop the main thread does not hold
// it.
class ThreadExecutor : public Executor {
 public:
  ThreadExecutor(WsgiCall& call, int threads) : call_(call), thread_count_(threads) {}

  void Start(CompletionSink& sink) override;
  void Submit(Exchange& exchange) override;
  [[nodiscard]] int capacity() const override { return thread_count_; }
  [[nodiscard]] bool keeps_alive() const override { return true; }
  void Stop() override;
  void BeforeWait() override {}
  void AfterWait() override {}

 private:
  void RunThread();
  Exchange* Next();  // null when it is time to end; takes the GIL back

  WsgiCall& call_;
  const int thread_count_;
  CompletionSink* sink_ = nullptr;
  PyThreadState* main_thread_state_ = nullptr;
  std::vector<std::thread> threads_;

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Exchange*> queue_;  // guarded by mutex_
  bool stopping_ = false;        // guarded by mutex_
};

}  // namespace gunid
