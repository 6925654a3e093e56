#include "supervisor/pool_plan.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

using Workers = std::vector<PlannedWorker>;

PlannedWorker Ready(int id) {
  return {id, true, false};
}
PlannedWorker Starting(int id) {
  return {id, false, false};
}
PlannedWorker Surge(int id) {
  return {id, false, false, true};
}
PlannedWorker Expiring(int id) {
  return {id, true, true};
}
PlannedWorker ExpiringStarting(int id) {
  return {id, false, true};
}

struct Case {
  const char* name;
  int wanted;
  Workers workers;
  PoolPlan plan;
  int surge_limit = 1;
};

TEST(PoolPlan, Table) {
  const std::vector<Case> cases = {
      {"start all at once", 4, {}, {.fill = 4}},
      {"wait for those that start", 2, {Starting(1), Starting(2)}, {}},
      {"nothing to do", 2, {Ready(1), Ready(2)}, {}},
      {"replace a dead one", 3, {Ready(1), Ready(3)}, {.fill = 1}},
      {"scale up", 4, {Ready(1), Ready(2)}, {.fill = 2}},
      {"scale down retires the oldest", 1, {Ready(1), Ready(2), Ready(3)}, {.retire = {1, 2}}},
      {"scale down prefers those that do not serve yet, youngest first",
       2,
       {Ready(1), Ready(2), Starting(3), Starting(4)},
       {.retire = {4, 3}}},
      {"an expiring one is replaced before it goes", 2, {Expiring(1), Ready(2)}, {.surge = 1}},
      {"one replacement at a time", 2, {Expiring(1), Expiring(2), Surge(3)}, {}},
      {"a replacement that is not ready fills no gap", 2, {Expiring(1), Surge(3)}, {.fill = 1}},
      {"a ready replacement lets the oldest go, the next replacement starts",
       2,
       {Expiring(1), Expiring(2), Ready(3)},
       {.surge = 1, .retire = {1}}},
      {"the last expiring one goes", 2, {Expiring(2), Ready(3), Ready(4)}, {.retire = {2}}},
      {"a wider surge", 4, {Expiring(1), Expiring(2), Expiring(3), Expiring(4)}, {.surge = 2}, 2},
      {"no more replacements than there are to replace",
       2,
       {Ready(1), Expiring(2)},
       {.surge = 1},
       3},
      {"a gap is filled before replacements are started",
       3,
       {Expiring(1), Expiring(2)},
       {.fill = 1}},
      {"an expiring one that does not serve yet goes first",
       2,
       {Expiring(1), ExpiringStarting(2), Ready(3)},
       {.surge = 1, .retire = {2}}},
      {"scale down during a replacement",
       1,
       {Expiring(1), Expiring(2), Ready(3)},
       {.retire = {1, 2}}},
      {"scale down below the fresh ones", 1, {Expiring(1), Ready(2), Ready(3)}, {.retire = {1, 2}}},
      {"what it should replace is gone: it counts like any other", 1, {Surge(3)}, {}},
      {"a replacement that is not needed any more is the first to go",
       2,
       {Ready(1), Ready(2), Surge(3)},
       {.retire = {3}}},
      {"scale up during a replacement", 4, {Expiring(1), Expiring(2), Surge(3)}, {.fill = 2}},
      {"scale down to one with all expiring",
       1,
       {Expiring(1), Expiring(2)},
       {.surge = 1, .retire = {1}}},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    const PoolPlan plan = PlanPool(test.wanted, test.surge_limit, test.workers);
    EXPECT_EQ(plan.fill, test.plan.fill);
    EXPECT_EQ(plan.surge, test.plan.surge);
    EXPECT_EQ(plan.retire, test.plan.retire);
  }
}

// Whatever the mix: carrying the plan out never leaves fewer serving workers than wanted if there
// were enough.
TEST(PoolPlan, NeverRetiresBelowWhatIsWanted) {
  for (int wanted = 1; wanted <= 4; ++wanted) {
    for (int mix = 0; mix < 4 * 4 * 4 * 4 * 4; ++mix) {
      Workers workers;
      for (int id = 1, rest = mix; id <= 5; ++id, rest /= 4) {
        const int kind = rest % 4;
        workers.push_back({id, kind % 2 == 0, kind / 2 == 1});
      }
      const PoolPlan plan = PlanPool(wanted, 1, workers);
      int serving = 0;
      int left = 0;
      for (const PlannedWorker& worker : workers) {
        serving += worker.ready ? 1 : 0;
        const bool retired =
            std::find(plan.retire.begin(), plan.retire.end(), worker.id) != plan.retire.end();
        left += worker.ready && !retired ? 1 : 0;
      }
      EXPECT_GE(left, std::min(wanted, serving)) << "wanted " << wanted << " mix " << mix;
    }
  }
}

}  // namespace
}  // namespace gunid
