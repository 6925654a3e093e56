#include "supervisor/request_watch.h"

#include <algorithm>
#include <limits>

namespace gunid {
namespace {

using std::chrono::milliseconds;

constexpr Nanoseconds kShortestInterval = milliseconds(50);
constexpr Nanoseconds kLongestInterval = milliseconds(500);

// Infinite if there is none.
double SmallestThreshold(const RequestThresholds& thresholds) {
  double smallest = std::numeric_limits<double>::infinity();
  for (const double threshold : {thresholds.slow_s, thresholds.timeout_s}) {
    if (threshold > 0) smallest = std::min(smallest, threshold);
  }
  return smallest;
}

bool Over(double age_s, double threshold_s) {
  return threshold_s > 0 && age_s > threshold_s;
}

}  // namespace

std::string_view RequestStateName(RequestState state) {
  switch (state) {
    case RequestState::kRunning:
      return "running";
    case RequestState::kCancelled:
      return "cancelled";
    case RequestState::kAbandoned:
      break;
  }
  return "abandoned";
}

std::vector<RequestStep> RequestWatch::Look(const std::vector<WatchedRequest>& requests,
                                            const RequestThresholds& thresholds, TimePoint now) {
  std::vector<RequestStep> steps;
  ++looks_;
  for (const auto& [id, request] : requests) {
    const double age_s = Seconds(Since(request.start_ns, now));
    const bool slow = Over(age_s, thresholds.slow_s);
    const bool overdue = Over(age_s, thresholds.timeout_s);
    auto entry = known_.find(id);
    if (entry == known_.end()) {
      if (!slow && !overdue) continue;
      entry = known_.try_emplace(id).first;
    }
    Known& known = entry->second;
    known.seen = looks_;
    const auto step = [&, &id = id, &request = request](RequestStepKind kind) {
      const bool reports_slow = kind == RequestStepKind::kReportSlow;
      steps.push_back(
          {kind, id, request, age_s, reports_slow ? thresholds.slow_s : thresholds.timeout_s});
    };
    if (known.state == RequestState::kCancelled && now - known.cancelled_at >= kUnwindGrace) {
      known.state = RequestState::kAbandoned;
      step(RequestStepKind::kGiveUp);
    }
    if (known.state != RequestState::kRunning) continue;
    if (overdue && !known.overdue_reported) {
      known.overdue_reported = true;
      step(RequestStepKind::kReportOverdue);
    } else if (slow && !known.slow_reported && !known.overdue_reported) {
      step(RequestStepKind::kReportSlow);
    }
    known.slow_reported = known.slow_reported || slow;
  }
  std::erase_if(known_, [this](const auto& entry) { return entry.second.seen != looks_; });
  return steps;
}

bool RequestWatch::Cancel(RequestId id, TimePoint now) {
  Known& known = known_[id];
  if (known.state != RequestState::kRunning) return false;
  known.state = RequestState::kCancelled;
  known.cancelled_at = now;
  return true;
}

RequestState RequestWatch::StateOf(RequestId id) const {
  const auto found = known_.find(id);
  return found == known_.end() ? RequestState::kRunning : found->second.state;
}

bool RequestWatch::known(int worker) const {
  const auto first = known_.lower_bound({worker, 0});
  return first != known_.end() && first->first.worker == worker;
}

std::uint64_t LookBefore(const RequestThresholds& thresholds, TimePoint now) {
  const double smallest = SmallestThreshold(thresholds);
  const double now_s = Seconds(now.time_since_epoch());
  if (smallest >= now_s) return 0;
  return static_cast<std::uint64_t>((now.time_since_epoch() - FromSeconds(smallest)).count());
}

Nanoseconds LookInterval(const RequestThresholds& thresholds, bool cancelled) {
  if (cancelled) return kShortestInterval;
  const double smallest = SmallestThreshold(thresholds);
  if (smallest >= 10 * Seconds(kLongestInterval)) return kLongestInterval;
  return std::max(kShortestInterval, FromSeconds(smallest / 10));
}

}  // namespace gunid
