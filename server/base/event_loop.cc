#include "base/event_loop.h"

#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <utility>

#include "base/result.h"

namespace gunid {

EventLoop::EventLoop()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // null marks the wake-up, every handler is non-null
  if (!epoll_ || !wake_ || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
    std::perror("gunid: cannot make an event loop");
    std::abort();
  }
}

EventLoop::~EventLoop() = default;

bool EventLoop::Add(int fd, std::uint32_t events, EventHandler* handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

bool EventLoop::Modify(int fd, std::uint32_t events, EventHandler* handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0;
}

void EventLoop::Remove(int fd, EventHandler* handler) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  for (int i = event_index_; i < event_count_; ++i) {
    if (events_[i].data.ptr == handler) events_[i].events = 0;
  }
}

EventLoop::TimerId EventLoop::RunAt(TimePoint when, std::function<void()> function) {
  const TimerId id = next_timer_++;
  timers_.emplace(Timer{when, id}, std::move(function));
  timer_times_.emplace(id, when);
  return id;
}

EventLoop::TimerId EventLoop::RunAfter(Nanoseconds delay, std::function<void()> function) {
  return RunAt(Clock().Now() + delay, std::move(function));
}

void EventLoop::Cancel(TimerId timer) {
  const auto found = timer_times_.find(timer);
  if (found == timer_times_.end()) return;
  timers_.erase(Timer{found->second, timer});
  timer_times_.erase(found);
}

void EventLoop::Post(std::function<void()> function) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(function));
  }
  Wake();
}

void EventLoop::Wake() {
  const std::uint64_t one = 1;
  // A full counter (EAGAIN) means that a wake-up is pending already.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

void EventLoop::Run() {
  while (!stopped_) RunOnce();
}

int EventLoop::WaitMilliseconds(Nanoseconds limit) const {
  if (timers_.empty() && limit.count() < 0) return -1;
  Nanoseconds wait = limit;
  if (!timers_.empty()) {
    const Nanoseconds until_timer =
        std::max(Nanoseconds(0), timers_.begin()->first.when - Clock().Now());
    wait = limit.count() < 0 ? until_timer : std::min(limit, until_timer);
  }
  // Rounded up: a timer must not be found "not yet due" in a busy turn.
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  return static_cast<int>(
      std::min<decltype(milliseconds)>(milliseconds, std::numeric_limits<int>::max()));
}

std::optional<TimePoint> EventLoop::next_timer() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first.when;
}

void EventLoop::RunOnce(Nanoseconds limit, WaitObserver* observer) {
  Wait(WaitMilliseconds(limit), observer);
  HandleEvents();
  RunTimers();
  if (std::exchange(woken_, false)) RunPosted();
}

void EventLoop::HandleEvents() {
  while (event_index_ < event_count_) {
    const epoll_event event = events_[event_index_++];
    if (event.data.ptr == nullptr) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
      woken_ = true;
    } else if (event.events != 0) {
      static_cast<EventHandler*>(event.data.ptr)->OnEvents(event.events);
    }
  }
}

// A process that is deaf must not go on: it would look alive. The application may have closed the
// descriptor (os.closerange).
int EventLoop::Poll(int timeout_ms) {
  const int count =
      epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), timeout_ms);
  if (count >= 0 || errno == EINTR) return std::max(0, count);
  spdlog::critical("{}: this process ends", Errno("wait for events").message);
  _exit(EXIT_FAILURE);
}

void EventLoop::Wait(int timeout_ms, WaitObserver* observer) {
  event_index_ = 0;
  if (observer != nullptr && timeout_ms != 0) {
    event_count_ = Poll(0);
    if (event_count_ > 0) return;
    observer->BeforeWait();
  }
  event_count_ = Poll(timeout_ms);
}

void EventLoop::RunTimers() {
  if (timers_.empty()) return;
  const TimePoint now = Clock().Now();
  while (!timers_.empty() && timers_.begin()->first.when <= now) {
    auto node = timers_.extract(timers_.begin());
    timer_times_.erase(node.key().id);
    node.mapped()();
  }
}

void EventLoop::RunPosted() {
  std::vector<std::function<void()>> functions;
  {
    const std::lock_guard lock(mutex_);
    functions.swap(posted_);
  }
  for (auto& function : functions) function();
}

}  // namespace gunid
