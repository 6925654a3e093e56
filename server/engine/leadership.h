// Which of a worker's threads runs the engine's loop: the leader. Between two turns of the loop the
// leader calls the application itself, so a request costs no hand-over to another thread. Meanwhile
// one of the other threads, the watch, looks after `patience` whether the leader is still in the same
// call; if so it takes over, and the old leader stands by when it comes back (as Go's scheduler
// retakes a processor from a thread that blocks).
//
//   the leader  --Leave--> away  --Return--> leads as before
//                          away  --(the watch takes over)--> Return says so --> StandBy
//   the watch   sleeps while the leader is not away; one thread at a time
//
// While calls are short and keep the leader computing the watch looks more and more rarely, up to every
// 2 ms (NextPatience): the first long call after them holds up the others by up to twice that.
//
// Where calls have mostly been longer than `patience` lately, Leave() asks the watch to take over at
// once.
//
// The leader's word orders the memory: what one leader did to the engine is seen by the next.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "base/clock.h"

namespace gunid {

// How long the watch is to wait before its next look, after one that found the leader in another call:
// `patience` that it has waited, `base` at least. In that time the leader began so many `calls`, and
// computed for `computed`. Each look takes the processor from a leader that computes for some
// microseconds, and a thread that took over could only wait for the processor or the GIL. Calls that wait
// for something, or of which one may be longer than `base`, are another matter.
Nanoseconds NextPatience(Nanoseconds base, Nanoseconds patience, std::uint64_t calls,
                         Nanoseconds computed);

class Leadership {
 public:
  struct Departure {
    std::uint64_t word = 0;
    TimePoint hurried_at{};  // when the watch was asked to take over at once; else zero
  };

  explicit Leadership(Nanoseconds patience) : patience_(patience) {}

  // Leader. From now on another thread may take over.
  Departure Leave();
  // The thread that left. False: another one leads.
  bool Return(const Departure& departure);

  // Any thread that does not lead. Blocks until it leads; false: never, because of End().
  bool StandBy();

  // A thread that is the only one to call the application and wants the lead back. `wake` makes the
  // one that leads look at demanded(). Blocks until that has called HandBack().
  template <class Wake>
  void DemandBack(const Wake& wake) {
    demanded_.store(true, std::memory_order_relaxed);
    wake();
    WaitForHandBack();
  }
  [[nodiscard]] bool demanded() const { return demanded_.load(std::memory_order_relaxed); }
  void HandBack();

  // Leader. Nobody leads from now on.
  void End();

 private:
  static constexpr std::uint64_t kAway = 1;
  static constexpr std::uint32_t kRecentCalls = 8;

  bool Watch(std::unique_lock<std::mutex>& lock);
  void WakeWatch();
  void WaitForHandBack();
  [[nodiscard]] bool ExpectsLongCall() const;
  void Remember(bool was_long);

  const Nanoseconds patience_;
  std::atomic<pthread_t> leader_{};
  std::atomic<std::uint64_t> word_{0};         // number of the last departure, and kAway
  std::atomic<std::uint64_t> hurried_{0};      // the departure whose watch is not to wait
  std::atomic<std::uint32_t> recent_long_{0};  // a bit for each of the last calls
  std::atomic<bool> watch_sleeps_{false};
  std::atomic<bool> demanded_{false};

  std::mutex mutex_;
  std::condition_variable watch_;   // for the thread on watch
  std::condition_variable relief_;  // for those that wait to be it
  std::condition_variable returned_;
  bool watched_ = false;  // guarded by mutex_, as are the following
  bool handed_back_ = false;
  bool ended_ = false;
};

}  // namespace gunid
