// A thread that gets no signals: they are for the threads that run the application, which inherit
// their mask to the programs that they start. Joined when it is destroyed.
#pragma once

#include <csignal>
#include <functional>
#include <thread>

namespace gunid {

class BackgroundThread {
 public:
  explicit BackgroundThread(std::function<void()> run) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread(std::move(run));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~BackgroundThread() { thread_.join(); }  // the owner has told it to end
  BackgroundThread(const BackgroundThread&) = delete;
  BackgroundThread& operator=(const BackgroundThread&) = delete;

 private:
  std::thread thread_;
};

}  // namespace gunid
