// gunid.RequestTimeout, a BaseException: raised in the application where a request is over its
// deadline or was cancelled by an operator. `import gunid` works in every application that runs
// under gunid.
//
// How it gets there. On the main thread of a sync worker: by a Python signal handler, which also ends
// time.sleep(), a blocked recv() and a lock that is not free. On any other thread: as an asynchronous
// exception, which Python sees when it executes the next bytecode - so a call that blocks in C comes
// first.
//
// It is raised once for each Interrupt(), and an application that catches it goes on.
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "python/py_ref.h"

namespace gunid {

// Before Python is initialized, once.
void RegisterGunidModule();

// Borrowed; null with a Python exception set. GIL held.
PyObject* RequestTimeoutType();

// For a thread that waits in C again and again: raises what is due for it. False with the exception
// set. GIL held.
bool LetInterruptsIn();

// SIGRTMIN + this: the sync and the gevent worker's own, from one thread to the main thread.
inline constexpr int kInterruptSignal = 3;

// The main thread of a sync worker. One instance at a time; a process that the application forks is
// left alone.
class MainThreadInterrupt {
 public:
  MainThreadInterrupt() = default;
  // The signal is ignored from here on.
  ~MainThreadInterrupt();
  MainThreadInterrupt(const MainThreadInterrupt&) = delete;
  MainThreadInterrupt& operator=(const MainThreadInterrupt&) = delete;

  // Main thread, GIL held: installs the signal handler. After the application was imported, which may
  // have installed its own.
  Status Install();

  // Main thread, round the call of the application.
  void Begin(std::uint64_t serial) { running_.store(serial, std::memory_order_relaxed); }
  void End() { running_.store(0, std::memory_order_relaxed); }

  // Any thread, with or without the GIL; does not wait for it. Nothing unless `serial` is running.
  void Interrupt(std::uint64_t serial);

 private:
  static PyObject* HandleSignal(PyObject* module, PyObject* arguments);
  bool TakeTarget();

  std::atomic<std::uint64_t> running_{0};  // serial; 0: none. Written by the main thread
  std::atomic<std::uint64_t> target_{0};   // whom the signal under way is for
  std::mutex interrupting_;
  pthread_t main_thread_{};
  pid_t worker_ = 0;
};

// The threads of a gthread worker. All but the constructor with the GIL held, which guards it.
class ThreadInterrupts {
 public:
  explicit ThreadInterrupts(int threads) : calls_(static_cast<std::size_t>(threads)) {}

  // By thread number `thread`, from 0, round its call of the application. End() takes back an
  // exception that has not been raised yet: it was meant for that call only.
  void Begin(int thread, std::uint64_t serial);
  void End(int thread);

  // From another thread. Nothing unless `serial` is running.
  void Interrupt(std::uint64_t serial);

 private:
  struct Call {
    unsigned long ident = 0;   // PyThread_get_thread_ident()
    std::uint64_t serial = 0;  // 0: none
    bool interrupted = false;
  };
  std::vector<Call> calls_;
};

}  // namespace gunid
