// What is to be done about requests that run for too long: a ladder that each request climbs on its
// own. Pure: the caller brings the requests and the time.
//
//   running --slow--> report once
//           --timeout--> report once; when that is done, the caller cancels it
//   cancelled, for its age or by an operator --kUnwindGrace--> abandoned: it does not end
//
// A request that is not seen any more has ended, and is forgotten.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

#include "base/clock.h"
#include "ipc/scoreboard.h"
#include "supervisor/command.h"

namespace gunid {

// How long a cancelled request may take to end. Code that is stuck in C does not notice that it was
// cancelled.
inline constexpr Nanoseconds kUnwindGrace = std::chrono::seconds(3);

// Seconds; 0: none.
struct RequestThresholds {
  double slow_s = 0;
  double timeout_s = 0;

  bool operator==(const RequestThresholds&) const = default;
};

struct WatchedRequest {
  RequestId id;
  RequestInFlight request;
};

enum class RequestStepKind : std::uint8_t {
  kReportSlow,
  kReportOverdue,
  kReportCancelled,  // by an operator
  kGiveUp,
};

struct RequestStep {
  RequestStepKind kind;
  RequestId id;
  RequestInFlight request;
  double age_s = 0;
  double threshold_s = 0;  // that it has passed
};

enum class RequestState : std::uint8_t { kRunning, kCancelled, kAbandoned };

// As the API writes it: "running", ...
std::string_view RequestStateName(RequestState state);

class RequestWatch {
 public:
  // `requests`: at least those that started before LookBefore(), and those of the workers in which
  // one is known().
  std::vector<RequestStep> Look(const std::vector<WatchedRequest>& requests,
                                const RequestThresholds& thresholds, TimePoint now);
  // Is being cancelled from now on. False: it was before.
  bool Cancel(RequestId id, TimePoint now);

  [[nodiscard]] RequestState StateOf(RequestId id) const;
  // One of that worker is on the ladder.
  [[nodiscard]] bool known(int worker) const;
  [[nodiscard]] bool empty() const { return known_.empty(); }

 private:
  struct Known {
    RequestState state = RequestState::kRunning;
    bool slow_reported = false;
    bool overdue_reported = false;
    TimePoint cancelled_at{};
    std::uint64_t seen = 0;  // in which look
  };

  std::map<RequestId, Known> known_;
  std::uint64_t looks_ = 0;
};

// Requests that started later have nothing to fear yet. Nanoseconds of CLOCK_MONOTONIC; 0: none has,
// whenever it started.
std::uint64_t LookBefore(const RequestThresholds& thresholds, TimePoint now);

// How long until the next look; `cancelled`: a request is about to end or to be given up.
Nanoseconds LookInterval(const RequestThresholds& thresholds, bool cancelled);

}  // namespace gunid
