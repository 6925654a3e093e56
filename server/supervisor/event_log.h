// What has happened, for whoever asks or waits for it (EventReport in gunid/reports.h). Keeps the
// last kMostEvents. Supervisor's loop thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "gunid/reports.h"
#include "supervisor/command.h"

namespace gunid {

class EventLog {
 public:
  using WallClock = std::function<std::chrono::system_clock::time_point()>;
  using Done = std::function<void(CommandResult)>;

  static constexpr std::size_t kMostEvents = 1000;
  static constexpr std::size_t kMostBytes = 4 * 1024 * 1024;  // of messages and details
  // A client that waits and goes away is not missed by anybody: the oldest has to make room.
  static constexpr std::size_t kMostWaiters = 100;

  explicit EventLog(WallClock clock = std::chrono::system_clock::now) : clock_(std::move(clock)) {}

  // Those of the program whose place this one takes.
  void Adopt(const EventsReport& events);
  // Gives the event its id and time, cuts its texts, and answers those that wait.
  void Add(EventReport event);

  // All that are kept.
  [[nodiscard]] EventsReport All() const;
  // Answers with those after `id`: at once if there are any, or else when there is one. With none
  // if too many others wait, with an error if `id` is not of an event that has happened.
  void After(std::uint64_t id, Done done);
  // Answers those that wait: with an error, or with no events, so that they ask again.
  void FailWaiters(int http_status, const ErrorReport& error);
  void AnswerWaiters();

 private:
  struct Waiter {
    std::uint64_t after = 0;
    Done done;
  };

  void Keep(EventReport event);
  void Answer(const CommandResult& result);
  [[nodiscard]] EventsReport EventsAfter(std::uint64_t id) const;

  WallClock clock_;
  std::deque<EventReport> events_;
  std::deque<Waiter> waiters_;
  std::size_t bytes_ = 0;  // of messages and details in events_
  std::uint64_t last_id_ = 0;
};

}  // namespace gunid
