#include "engine/deadline_queue.h"

namespace gunid {

void Deadline::Disarm() {
  if (queue_ != nullptr) queue_->Unlink(*this);
}

DeadlineQueue::~DeadlineQueue() {
  while (first_ != nullptr) Unlink(*first_);
  loop_.Cancel(timer_);
}

void DeadlineQueue::Arm(Deadline& deadline) {
  deadline.Disarm();
  if (duration_ <= Nanoseconds(0)) return;
  deadline.when_ = Clock().Now() + duration_;
  Append(deadline);
  if (timer_ == 0) SetTimer();
}

void DeadlineQueue::Append(Deadline& deadline) {
  deadline.queue_ = this;
  deadline.previous_ = last_;
  deadline.next_ = nullptr;
  (last_ != nullptr ? last_->next_ : first_) = &deadline;
  last_ = &deadline;
}

void DeadlineQueue::Unlink(Deadline& deadline) {
  (deadline.previous_ != nullptr ? deadline.previous_->next_ : first_) = deadline.next_;
  (deadline.next_ != nullptr ? deadline.next_->previous_ : last_) = deadline.previous_;
  deadline.queue_ = nullptr;
}

void DeadlineQueue::SetTimer() {
  timer_ = loop_.RunAt(first_->when_, [this] { RunDue(); });
}

void DeadlineQueue::RunDue() {
  timer_ = 0;
  const TimePoint now = Clock().Now();
  while (first_ != nullptr && first_->when_ <= now) {
    Deadline& due = *first_;
    Unlink(due);
    due.OnDeadline();
  }
  if (first_ != nullptr && timer_ == 0) SetTimer();
}

}  // namespace gunid
