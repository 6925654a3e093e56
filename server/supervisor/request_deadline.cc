#include "supervisor/request_deadline.h"

#include <algorithm>

namespace gunid {

std::optional<OverdueRequest> FindOverdue(const std::vector<RequestInFlight>& requests,
                                          TimePoint now, double timeout_s) {
  if (requests.empty() || timeout_s <= 0) return std::nullopt;
  const auto oldest =
      std::min_element(requests.begin(), requests.end(),
                       [](const auto& a, const auto& b) { return a.start_ns < b.start_ns; });
  const double age_s = Seconds(now.time_since_epoch() - Nanoseconds(oldest->start_ns));
  if (age_s <= timeout_s) return std::nullopt;
  return OverdueRequest{oldest->text, age_s};
}

}  // namespace gunid
