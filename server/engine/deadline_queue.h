// Deadlines of one kind, all of the same duration, so the queue is in order by itself and arming
// one costs O(1). One event loop timer serves the whole queue. Leading thread; neither owns the
// deadlines.
#pragma once

#include "base/event_loop.h"

namespace gunid {

class DeadlineQueue;

// Something that waits, in at most one queue at a time.
class Deadline {
 public:
  Deadline() = default;
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  virtual ~Deadline() { Disarm(); }

  void Disarm();
  [[nodiscard]] const DeadlineQueue* queue() const { return queue_; }  // nullptr: not armed

 private:
  friend class DeadlineQueue;
  virtual void OnDeadline() = 0;

  DeadlineQueue* queue_ = nullptr;
  Deadline* previous_ = nullptr;
  Deadline* next_ = nullptr;
  TimePoint when_;
};

class DeadlineQueue {
 public:
  // A duration of zero means no limit.
  DeadlineQueue(EventLoop& loop, double duration_s)
      : loop_(loop), duration_(FromSeconds(duration_s)) {}
  ~DeadlineQueue();
  DeadlineQueue(const DeadlineQueue&) = delete;
  DeadlineQueue& operator=(const DeadlineQueue&) = delete;

  // From now on; takes it out of the queue that it was in.
  void Arm(Deadline& deadline);

 private:
  friend class Deadline;
  void Append(Deadline& deadline);
  void Unlink(Deadline& deadline);
  void SetTimer();
  void RunDue();

  EventLoop& loop_;
  const Nanoseconds duration_;
  Deadline* first_ = nullptr;
  Deadline* last_ = nullptr;
  // May be set for a deadline that was disarmed since: it then fires for nothing and is set anew.
  EventLoop::TimerId timer_ = 0;
};

}  // namespace gunid
