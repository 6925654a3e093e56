// Counters of the server's whole life. The scoreboard has those of living workers; when one is gone
// its counters are folded in here, so that totals never go backwards. Supervisor's loop thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "ipc/scoreboard.h"

namespace gunid {

struct Statistics {
  SlotCounters of_gone_workers;
  std::uint64_t workers_spawned = 0;
  std::uint64_t workers_exited = 0;
  std::uint64_t workers_crashed = 0;
  std::uint64_t reloads = 0;
  std::uint64_t reloads_failed = 0;
  std::uint64_t timeouts = 0;
  std::map<std::string, std::uint64_t> stops;  // by reason
};

}  // namespace gunid
