#include "supervisor/event_log.h"

#include <algorithm>
#include <utility>

#include "ipc/spawn_protocol.h"
#include "supervisor/report.h"
#include "supervisor/rfc3339.h"

namespace gunid {
namespace {

std::size_t SizeOf(const EventReport& event) {
  return event.message.size() + event.detail.size();
}

}  // namespace

void EventLog::Add(EventReport event) {
  event.id = ++last_id_;
  event.time = Rfc3339Milliseconds(clock_());
  event.message = CutToFit(std::move(event.message), kLongestMessage);
  event.detail = CutToFit(std::move(event.detail));
  Keep(std::move(event));

  const auto answered = std::stable_partition(
      waiters_.begin(), waiters_.end(), [this](const Waiter& w) { return w.after >= last_id_; });
  const std::vector<Waiter> ended(std::make_move_iterator(answered),
                                  std::make_move_iterator(waiters_.end()));
  waiters_.erase(answered, waiters_.end());
  for (const Waiter& waiter : ended) waiter.done(ToResult(EventsAfter(waiter.after)));
}

void EventLog::Keep(EventReport event) {
  bytes_ += SizeOf(event);
  events_.push_back(std::move(event));
  while (events_.size() > kMostEvents || bytes_ > kMostBytes) {
    bytes_ -= SizeOf(events_.front());
    events_.pop_front();
  }
}

void EventLog::Adopt(const EventsReport& events) {
  for (const EventReport& event : events.events) {
    last_id_ = event.id;
    Keep(event);
  }
}

EventsReport EventLog::All() const {
  return EventsAfter(0);
}

void EventLog::After(std::uint64_t id, Done done) {
  if (id > last_id_) {
    const std::string message =
        "there is no event " + std::to_string(id) + "; the last one is " + std::to_string(last_id_);
    return done(ErrorResult(400, {"bad_argument", message, ""}));
  }
  if (id < last_id_) return done(ToResult(EventsAfter(id)));
  waiters_.push_back({id, std::move(done)});
  if (waiters_.size() <= kMostWaiters) return;
  const Waiter oldest = std::move(waiters_.front());
  waiters_.pop_front();
  oldest.done(ToResult(EventsReport{}));
}

void EventLog::FailWaiters(int http_status, const ErrorReport& error) {
  Answer(ErrorResult(http_status, error));
}

void EventLog::AnswerWaiters() {
  Answer(ToResult(EventsReport{}));
}

void EventLog::Answer(const CommandResult& result) {
  for (const Waiter& waiter : std::exchange(waiters_, {})) waiter.done(result);
}

EventsReport EventLog::EventsAfter(std::uint64_t id) const {
  const auto first = std::partition_point(events_.begin(), events_.end(),
                                          [id](const EventReport& e) { return e.id <= id; });
  return {{first, events_.end()}};
}

}  // namespace gunid
