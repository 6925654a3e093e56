#include "supervisor/pool_plan.h"

#include <algorithm>

namespace gunid {
namespace {

struct Counts {
  int fresh_ready = 0;
  int fresh_starting = 0;
  int surge_starting = 0;  // of these
  int expiring = 0;

  [[nodiscard]] int fresh() const { return fresh_ready + fresh_starting; }
  [[nodiscard]] int total() const { return fresh() + expiring; }
};

Counts Count(const std::vector<PlannedWorker>& workers) {
  Counts counts;
  for (const PlannedWorker& worker : workers) {
    if (worker.expiring) {
      ++counts.expiring;
    } else if (worker.ready) {
      ++counts.fresh_ready;
    } else {
      ++counts.fresh_starting;
      counts.surge_starting += worker.surge ? 1 : 0;
    }
  }
  return counts;
}

// Expiring workers whose place a ready worker has taken; those that do not serve yet first, then
// the oldest.
void RetireExpiring(const std::vector<PlannedWorker>& workers, int count, PoolPlan& plan) {
  for (const bool ready : {false, true}) {
    for (const PlannedWorker& worker : workers) {
      if (count > 0 && worker.expiring && worker.ready == ready) {
        plan.retire.push_back(worker.id);
        --count;
      }
    }
  }
}

// Fresh workers beyond the wanted number: the youngest that are not ready yet, then the oldest.
void RetireFresh(const std::vector<PlannedWorker>& workers, int count, PoolPlan& plan) {
  for (auto worker = workers.rbegin(); worker != workers.rend(); ++worker) {
    if (count > 0 && !worker->expiring && !worker->ready) {
      plan.retire.push_back(worker->id);
      --count;
    }
  }
  for (const PlannedWorker& worker : workers) {
    if (count > 0 && !worker.expiring && worker.ready) {
      plan.retire.push_back(worker.id);
      --count;
    }
  }
}

}  // namespace

PoolPlan PlanPool(int wanted, int surge_limit, const std::vector<PlannedWorker>& workers) {
  PoolPlan plan;
  const Counts counts = Count(workers);

  const int replaced =
      std::clamp(counts.fresh_ready + counts.expiring - wanted, 0, counts.expiring);
  RetireExpiring(workers, replaced, plan);
  const int still_expiring = counts.expiring - replaced;

  if (still_expiring == 0) {
    RetireFresh(workers, std::max(0, counts.fresh() - wanted), plan);
  }
  const int staying = counts.total() - static_cast<int>(plan.retire.size());
  const int extra = still_expiring > 0 ? counts.surge_starting : 0;
  plan.fill = std::max(0, wanted - (staying - extra));
  if (plan.fill == 0) {
    const int room = std::min(wanted + surge_limit - staying, surge_limit - counts.fresh_starting);
    const int unreplaced = std::max(0, still_expiring - counts.fresh_starting);
    plan.surge = std::clamp(room, 0, unreplaced);
  }
  return plan;
}

}  // namespace gunid
