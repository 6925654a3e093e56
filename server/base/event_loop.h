// One epoll set with its handlers, timers and posted functions: the loop of the supervisor, and of
// each worker's engine.
//
// Everything but Post() and Wake() belongs to the thread that runs the loop (one at a time). The
// loop owns neither descriptors nor handlers: a handler removes itself before it dies. A handler may
// remove itself or any other during a callback; events that were already fetched for a removed
// handler are dropped.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"

namespace gunid {

class EventHandler {
 public:
  virtual ~EventHandler() = default;
  // `events` are epoll's: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR.
  virtual void OnEvents(std::uint32_t events) = 0;
};

// Told of a wait that will block, on the loop's thread: a worker gives up the GIL there.
class WaitObserver {
 public:
  virtual ~WaitObserver() = default;
  virtual void BeforeWait() = 0;
};

class EventLoop {
 public:
  using TimerId = std::uint64_t;

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Watches `fd`. The handler must outlive the registration. Returns false with errno as epoll_ctl
  // leaves it.
  bool Add(int fd, std::uint32_t events, EventHandler* handler);
  bool Modify(int fd, std::uint32_t events, EventHandler* handler);
  void Remove(int fd, EventHandler* handler);

  TimerId RunAt(TimePoint when, std::function<void()> function);
  TimerId RunAfter(Nanoseconds delay, std::function<void()> function);
  void Cancel(TimerId timer);  // a timer that has fired or was cancelled is ignored

  // From any thread: runs `function` on the loop's thread, in the order of posting.
  void Post(std::function<void()> function);
  // From any thread: makes a blocked wait return.
  void Wake();

  // For a loop of another kind that watches this one: readable when there are events.
  [[nodiscard]] int fd() const { return epoll_.get(); }
  // When a turn has something to do even without events.
  [[nodiscard]] std::optional<TimePoint> next_timer() const;

  void Run();  // until Stop()
  void Stop() { stopped_ = true; }
  [[nodiscard]] bool stopped() const { return stopped_; }
  // One turn: waits for events at most until the next timer or `limit` (which caps it; negative: no
  // cap), then runs all that is due. `observer` is told where the wait blocks.
  void RunOnce(Nanoseconds limit = Nanoseconds(-1), WaitObserver* observer = nullptr);

 private:
  struct Timer {
    TimePoint when;
    TimerId id;
    auto operator<=>(const Timer&) const = default;
  };

  int WaitMilliseconds(Nanoseconds limit) const;
  void Wait(int timeout_ms, WaitObserver* observer);
  int Poll(int timeout_ms);
  void HandleEvents();
  void RunTimers();
  void RunPosted();

  UniqueFd epoll_;
  UniqueFd wake_;  // eventfd
  std::array<epoll_event, 256> events_;
  int event_count_ = 0;
  int event_index_ = 0;
  std::map<Timer, std::function<void()>> timers_;
  std::map<TimerId, TimePoint> timer_times_;
  TimerId next_timer_ = 1;
  bool woken_ = false;  // in this turn
  bool stopped_ = false;

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
};

}  // namespace gunid
