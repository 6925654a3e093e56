// Finds the request that is over its deadline (Gunicorn's timeout, here counted for each request
// from its hand-over to the application). Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "ipc/scoreboard.h"

namespace gunid {

struct OverdueRequest {
  std::string text;  // "GET /path"
  double age_s = 0;
};

// The oldest of `requests` if it is older than `timeout_s`; 0: no limit.
std::optional<OverdueRequest> FindOverdue(const std::vector<RequestInFlight>& requests,
                                          TimePoint now, double timeout_s);

}  // namespace gunid
