// What to do next to get from the workers there are to the workers that are wanted: a pure
// function, called after every event.
//
// Replacement is one mechanism for reload, restart and recycling: a worker that must go is marked
// expiring and serves on; a fresh one is started beside it (the surge), and only when that is ready
// an expiring one retires.
#pragma once

#include <vector>

namespace gunid {

// A worker that has not been told to go, oldest first.
struct PlannedWorker {
  int id = 0;
  bool ready = false;
  bool expiring = false;
  bool surge = false;  // was started as a replacement: until it is ready it fills no gap beside
                       // what it replaces
};

struct PoolPlan {
  int fill = 0;             // workers to start because there are too few
  int surge = 0;            // workers to start as replacements of expiring ones
  std::vector<int> retire;  // ids of workers to tell to go

  bool operator==(const PoolPlan&) const = default;
};

// `surge_limit`: how many replacements may be under way at once, at least 1.
PoolPlan PlanPool(int wanted, int surge_limit, const std::vector<PlannedWorker>& workers);

}  // namespace gunid
