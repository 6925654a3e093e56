#include "supervisor/worker_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace gunid {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class FakeClock : public Clock {
 public:
  [[nodiscard]] TimePoint Now() const override { return now; }
  TimePoint now{seconds(1000)};
};

class FakeSpawner : public Spawner {
 public:
  [[nodiscard]] bool CanFork(int generation) const override {
    return generation != broken_generation;
  }
  void Fork(const WorkerHandle& worker) override { forks.push_back(worker.id); }
  void SendGo(const WorkerHandle& worker) override { goes.push_back(worker.id); }
  void SendSignal(const WorkerHandle& worker, int signal) override {
    signals.emplace_back(worker.id, signal);
  }

  int broken_generation = -1;
  std::vector<int> forks;
  std::vector<int> goes;
  std::vector<std::pair<int, int>> signals;
};

class FakeObserver : public PoolObserver {
 public:
  void WorkerBecameReady(const WorkerHandle& worker) override { ready.push_back(worker.id); }
  void WorkerHangs(const WorkerHandle& worker) override { hanging.push_back(worker.id); }
  void WorkerFailedToBoot(const WorkerHandle& worker, const BootFailure& failure) override {
    failures.emplace_back(worker.id, failure.message);
    tracebacks.push_back(failure.traceback);
  }
  void WorkerCrashed(const WorkerHandle& worker, const std::string& /*exit*/) override {
    crashed.push_back(worker.id);
  }
  void WorkerGone(const WorkerHandle& worker, const std::string& exit) override {
    gone.emplace_back(worker.id, worker.reason);
    exits.push_back(exit);
  }

  std::vector<int> ready;
  std::vector<int> hanging;
  std::vector<std::pair<int, std::string>> failures;
  std::vector<std::string> tracebacks;
  std::vector<int> crashed;
  std::vector<std::pair<int, StopReason>> gone;
  std::vector<std::string> exits;
};

class WorkerPoolTest : public testing::Test {
 protected:
  WorkerPoolTest() {
    Settings settings;
    settings.boot_timeout = 60;
    settings.graceful_timeout = 30;
    settings.reload_settle = 0;
    pool.SetLimits(settings);
  }

  void Boot(int id) {
    pool.Forked(id, 100 + id);
    pool.Ready(id);
  }
  void LetSettle(seconds time) {
    Settings settings;
    settings.reload_settle = static_cast<double>(time.count());
    pool.SetLimits(settings);
  }
  // Answers every outstanding fork.
  void BootAll() {
    for (const int id : std::vector(spawner.forks)) {
      const WorkerHandle* worker = pool.Find(id);
      if (worker == nullptr || worker->pid != 0) continue;
      if (worker->state == WorkerState::kSpawning) {
        Boot(id);
      } else {  // not wanted any more before it was there
        pool.Forked(id, 100 + id);
        pool.Exited(id, "was killed by SIGKILL");
      }
    }
  }
  void StartWith(int workers) {
    pool.SetWanted(workers);
    pool.RollTo(1);
    BootAll();
    ASSERT_TRUE(pool.settled());
    ASSERT_FALSE(pool.rolling());
  }
  void ExitDraining() {
    std::vector<int> ids;
    for (const auto& [id, worker] : pool.workers()) {
      if (worker.state == WorkerState::kDraining) ids.push_back(id);
    }
    for (const int id : ids) pool.Exited(id, "exited with code 0");
  }
  std::vector<int> Generations() {
    std::vector<int> generations;
    for (const auto& [id, worker] : pool.workers()) generations.push_back(worker.generation);
    return generations;
  }
  void Advance(Nanoseconds by) {
    clock.now += by;
    pool.Tick();
  }

  FakeClock clock;
  FakeSpawner spawner;
  FakeObserver observer;
  WorkerPool pool{clock, spawner, observer, 16};
};

TEST_F(WorkerPoolTest, StartsAllWorkersAtOnceAndLetsThemGo) {
  pool.SetWanted(3);
  EXPECT_TRUE(spawner.forks.empty()) << "no generation yet";
  pool.RollTo(1);
  EXPECT_EQ(spawner.forks, (std::vector{1, 2, 3}));
  EXPECT_TRUE(pool.rolling());
  BootAll();
  EXPECT_EQ(spawner.goes, (std::vector{1, 2, 3}));
  EXPECT_EQ(observer.ready, (std::vector{1, 2, 3}));
  EXPECT_FALSE(pool.rolling());
  EXPECT_EQ(pool.generation(), 1);
}

TEST_F(WorkerPoolTest, ReplacesAWorkerThatDies) {
  StartWith(2);
  pool.Exited(1, "was killed by SIGKILL");
  EXPECT_EQ(observer.crashed, std::vector{1});
  EXPECT_EQ(observer.gone, (std::vector{std::pair{1, StopReason::kCrash}}));
  EXPECT_EQ(spawner.forks.back(), 3);
  EXPECT_FALSE(pool.settled());
  Boot(3);
  EXPECT_TRUE(pool.settled());
}

TEST_F(WorkerPoolTest, WaitsLongerAndLongerWhenWorkersKeepDying) {
  StartWith(1);
  pool.Exited(1, "was killed by SIGSEGV");
  Boot(2);
  pool.Exited(2, "was killed by SIGSEGV");
  EXPECT_EQ(spawner.forks.size(), 2U);
  ASSERT_TRUE(pool.NextTick().has_value());
  EXPECT_EQ(*pool.NextTick() - clock.now, milliseconds(500));
  Advance(milliseconds(499));
  EXPECT_EQ(spawner.forks.size(), 2U);
  Advance(milliseconds(1));
  EXPECT_EQ(spawner.forks.size(), 3U);
  EXPECT_EQ(pool.NextTick(), std::nullopt);
}

TEST_F(WorkerPoolTest, ScalesUpAndDown) {
  StartWith(1);
  pool.SetWanted(3);
  BootAll();
  EXPECT_TRUE(pool.settled());
  pool.SetWanted(1);
  EXPECT_EQ(spawner.signals, (std::vector{std::pair{1, SIGTERM}, std::pair{2, SIGTERM}}));
  pool.AcceptingStopped(1);
  pool.AcceptingStopped(2);
  EXPECT_FALSE(pool.settled()) << "the surplus has not retired yet";
  ExitDraining();
  EXPECT_TRUE(pool.settled());
  EXPECT_EQ(observer.gone, (std::vector{std::pair{1, StopReason::kScaleDown},
                                        std::pair{2, StopReason::kScaleDown}}));
  EXPECT_TRUE(observer.crashed.empty());
}

TEST_F(WorkerPoolTest, AWorkerThatSomebodyElseToldToGoIsReplacedAndIsNoCrash) {
  StartWith(1);
  pool.AcceptingStopped(1);
  EXPECT_EQ(spawner.forks.back(), 2);
  EXPECT_TRUE(spawner.signals.empty());
  Boot(2);
  ExitDraining();
  EXPECT_TRUE(pool.settled());
  EXPECT_TRUE(observer.crashed.empty());
  EXPECT_EQ(observer.gone, (std::vector{std::pair{1, StopReason::kOperator}}));
}

TEST_F(WorkerPoolTest, KillsAWorkerThatDoesNotDrainInTime) {
  StartWith(2);
  pool.SetWanted(1);
  Advance(seconds(30));
  EXPECT_EQ(spawner.signals.back(), (std::pair{1, SIGKILL}));
  pool.Exited(1, "was killed by SIGKILL");
  EXPECT_TRUE(pool.settled());
}

TEST_F(WorkerPoolTest, ReportsAWorkerThatIsNotReadyInTime) {
  pool.SetWanted(1);
  pool.RollTo(1);
  pool.Forked(1, 101);
  Advance(seconds(60));
  EXPECT_EQ(observer.hanging, std::vector{1});
  Advance(seconds(1));
  EXPECT_EQ(observer.hanging, std::vector{1}) << "once";
  EXPECT_TRUE(spawner.signals.empty()) << "not before it was seen what it hangs in";
  EXPECT_TRUE(observer.failures.empty());
  pool.Hangs(1, "Thread 0x1");
  EXPECT_EQ(spawner.signals, (std::vector{std::pair{1, SIGKILL}}));
  ASSERT_EQ(observer.failures.size(), 1U);
  EXPECT_EQ(observer.failures[0].second,
            "worker 1 (pid:101) did not become ready within boot_timeout");
  EXPECT_EQ(observer.tracebacks[0], "Thread 0x1");
  pool.Exited(1, "was killed by SIGKILL");
  EXPECT_EQ(observer.failures.size(), 1U);
  EXPECT_EQ(observer.exits, std::vector<std::string>{"was killed by SIGKILL"});
}

TEST_F(WorkerPoolTest, AWorkerThatBecomesReadyAfterAllServes) {
  pool.SetWanted(1);
  pool.RollTo(1);
  pool.Forked(1, 101);
  Advance(seconds(60));
  pool.Ready(1);
  pool.Hangs(1, "Thread 0x1");
  EXPECT_TRUE(pool.settled());
  EXPECT_TRUE(observer.failures.empty());
}

TEST_F(WorkerPoolTest, AWorkerThatIsGoneHangsNoMore) {
  pool.Hangs(1, "Thread 0x1");
  EXPECT_TRUE(observer.failures.empty());
}

TEST_F(WorkerPoolTest, FindsWorkersByPid) {
  pool.SetWanted(2);
  pool.RollTo(1);
  EXPECT_EQ(pool.FindByPid(0), nullptr) << "none has a pid yet";
  pool.Forked(2, 102);
  ASSERT_NE(pool.FindByPid(102), nullptr);
  EXPECT_EQ(pool.FindByPid(102)->id, 2);
  EXPECT_EQ(pool.FindByPid(1), nullptr);
}

TEST_F(WorkerPoolTest, RollsOneByOneAndKeepsTheNumberOfServingWorkers) {
  StartWith(3);
  pool.RollTo(2);
  for (int step = 0; step < 3; ++step) {
    EXPECT_EQ(spawner.forks.size(), 4U + static_cast<std::size_t>(step))
        << "one replacement at a time";
    EXPECT_EQ(pool.ready_count(), 3);
    BootAll();
    ExitDraining();
  }
  EXPECT_FALSE(pool.rolling());
  EXPECT_EQ(pool.generation(), 2);
  EXPECT_EQ(Generations(), (std::vector{2, 2, 2}));
  for (const auto& [id, reason] : observer.gone) EXPECT_EQ(reason, StopReason::kReload);
}

TEST_F(WorkerPoolTest, RollBackKeepsTheOldGenerationWhole) {
  StartWith(3);
  pool.RollTo(2);
  Boot(4);  // the first new one serves, an old one drains
  ExitDraining();
  pool.RollBack();  // while the second new one is being forked
  EXPECT_FALSE(pool.rolling());
  EXPECT_EQ(pool.generation(), 1);
  const std::size_t forks = spawner.forks.size();
  ExitDraining();
  pool.Forked(5, 105);
  EXPECT_EQ(spawner.signals.back(), (std::pair{5, SIGKILL}));
  pool.Exited(5, "was killed by SIGKILL");
  EXPECT_EQ(spawner.forks.size(), forks)
      << "the replacement was asked for when the new generation was told to go";
  EXPECT_EQ(pool.ready_count(), 3) << "the new one serves until it is there";
  BootAll();
  EXPECT_EQ(pool.Find(4)->state, WorkerState::kDraining);
  ExitDraining();
  EXPECT_TRUE(pool.settled());
  EXPECT_EQ(Generations(), (std::vector{1, 1, 1}));
}

TEST_F(WorkerPoolTest, TheWayBackTakesAllAtOnceAndLosesNoServingWorker) {
  StartWith(4);
  pool.RollTo(2);
  for (int turn = 0; turn < 3; ++turn) {
    BootAll();
    ExitDraining();
  }
  ASSERT_EQ(pool.fresh_count(), 3);
  const std::size_t forks = spawner.forks.size();
  pool.RollBack();
  EXPECT_EQ(pool.ready_count(), 4);
  EXPECT_EQ(spawner.forks.size(), forks + 3);
  BootAll();
  EXPECT_EQ(pool.ready_count(), 4);
  ExitDraining();
  EXPECT_TRUE(pool.settled());
  EXPECT_EQ(Generations(), (std::vector{1, 1, 1, 1}));
  EXPECT_THAT(observer.gone, testing::Contains(std::pair{5, StopReason::kRollback}));
}

TEST_F(WorkerPoolTest, TheCanaryDoesNotWaitForAGenerationThatCannotStartItsWorkers) {
  StartWith(2);
  LetSettle(seconds(5));
  spawner.broken_generation = 1;
  pool.Exited(1, "was killed by SIGSEGV");
  ASSERT_EQ(spawner.forks.size(), 2U);
  pool.RollTo(2);
  ASSERT_EQ(spawner.forks.size(), 3U);
  EXPECT_EQ(pool.Find(3)->generation, 2);
  Boot(3);
  Advance(seconds(5));
  for (int turn = 0; turn < 3; ++turn) {
    BootAll();
    ExitDraining();
  }
  EXPECT_FALSE(pool.rolling());
  EXPECT_TRUE(pool.settled());
  EXPECT_EQ(Generations(), (std::vector{2, 2}));
}

TEST_F(WorkerPoolTest, TheCanaryDoesNotWaitForABackOff) {
  StartWith(2);
  pool.RollTo(2);
  pool.Exited(3, WorkerExit("was killed by SIGKILL"));
  pool.RollBack();
  for (const int id : {1, 2}) pool.Exited(id, "was killed by SIGSEGV");
  const std::size_t forks = spawner.forks.size();
  pool.RollTo(3);
  const int canary = spawner.forks.at(forks);
  EXPECT_EQ(pool.Find(canary)->generation, 3);
  // What the old generation cannot do any more, the new one does.
  for (const auto& [id, worker] : std::map(pool.workers())) {
    if (worker.generation == 1) pool.Exited(id, "was killed by SIGSEGV");
  }
  Boot(canary);
  for (int turn = 0; turn < 3; ++turn) {
    if (pool.next_start()) Advance(*pool.next_start() - clock.now);
    BootAll();
    ExitDraining();
  }
  EXPECT_FALSE(pool.rolling());
  EXPECT_EQ(Generations(), (std::vector{3, 3}));
}

TEST_F(WorkerPoolTest, ACanaryThatIsGoneProvesNothing) {
  StartWith(1);
  LetSettle(seconds(5));
  pool.RollTo(2);
  Boot(2);
  Advance(seconds(4));
  WorkerExit by_hand("was killed by SIGKILL");
  by_hand.killed = true;
  pool.Exited(2, by_hand);
  ASSERT_EQ(spawner.forks.back(), 3) << "another one";
  Boot(3);
  Advance(seconds(1));
  EXPECT_TRUE(spawner.signals.empty());
  Advance(seconds(4));
  EXPECT_EQ(spawner.signals, (std::vector{std::pair{1, SIGTERM}}));
}

TEST_F(WorkerPoolTest, WorkersThatAreRecycledAllTheTimeHoldNothingUp) {
  StartWith(2);
  pool.Restart();
  EXPECT_FALSE(pool.replaced());
  BootAll();
  ExitDraining();
  BootAll();
  EXPECT_FALSE(pool.replaced()) << "the last of them may still accept";
  pool.AcceptingStopped(2);
  EXPECT_TRUE(pool.replaced());
  ExitDraining();
  for (int turn = 0; turn < 2; ++turn) {
    BootAll();
    pool.Recycle(spawner.forks.back(), StopReason::kMaxRequests);
    ExitDraining();
  }
  EXPECT_TRUE(pool.replaced()) << "those of the restart are gone";
  EXPECT_TRUE(pool.settled());
  EXPECT_GT(pool.workers().size(), 2U);
}

TEST_F(WorkerPoolTest, WhatWasExpelledIsNotReplacedAgainAndAgainAtOnce) {
  StartWith(1);
  pool.Expel(1, StopReason::kMemory);
  EXPECT_EQ(spawner.signals, (std::vector{std::pair{1, SIGQUIT}}));
  pool.Expel(2, StopReason::kMemory);
  EXPECT_EQ(pool.Find(2)->state, WorkerState::kSpawning) << "it serves nothing";
  pool.Exited(1, "exited with code 0");
  Boot(2);
  pool.Expel(2, StopReason::kMemory);
  EXPECT_TRUE(pool.next_start());
  EXPECT_EQ(observer.gone, (std::vector{std::pair{1, StopReason::kMemory}}));
}

TEST_F(WorkerPoolTest, AGapBeforeTheCanaryIsReadyIsFilledFromTheOldGeneration) {
  StartWith(2);
  pool.RollTo(2);
  pool.Exited(1, "was killed by SIGSEGV");
  const WorkerHandle* filler = pool.Find(spawner.forks.back());
  ASSERT_NE(filler, nullptr);
  EXPECT_EQ(filler->generation, 1);
  for (int turn = 0; turn < 4; ++turn) {
    BootAll();
    ExitDraining();
  }
  EXPECT_TRUE(pool.settled());
  EXPECT_EQ(Generations(), (std::vector{2, 2})) << "the filler was replaced in its turn";
}

TEST_F(WorkerPoolTest, BootFailureIsReportedOnceAndTriedAgainLater) {
  StartWith(1);
  pool.SetWanted(2);
  pool.Forked(2, 102);
  pool.BootFailed(2, {3, "no such module", "Traceback"});
  pool.Exited(2, "exited with code 3");
  EXPECT_EQ(observer.failures, (std::vector{std::pair{2, std::string("no such module")}}));
  EXPECT_EQ(observer.gone, (std::vector{std::pair{2, StopReason::kBootFailure}}));
  EXPECT_EQ(spawner.forks.back(), 3);
  EXPECT_EQ(pool.ready_count(), 1);
}

TEST_F(WorkerPoolTest, RestartReplacesEachAndCanBeCancelled) {
  StartWith(2);
  pool.Restart();
  BootAll();
  ExitDraining();
  BootAll();
  ExitDraining();
  EXPECT_TRUE(pool.settled());
  EXPECT_EQ(observer.gone.size(), 2U);

  pool.Restart();
  pool.CancelRestart();
  pool.Forked(spawner.forks.back(), 200);
  pool.Exited(spawner.forks.back(), "was killed by SIGKILL");
  EXPECT_TRUE(pool.settled());
}

TEST_F(WorkerPoolTest, RecyclesOnlyAfterTheReplacementIsReady) {
  StartWith(1);
  pool.Recycle(1, StopReason::kMaxRequests);
  EXPECT_TRUE(spawner.signals.empty());
  Boot(2);
  EXPECT_EQ(spawner.signals, (std::vector{std::pair{1, SIGTERM}}));
  ExitDraining();
  EXPECT_EQ(observer.gone, (std::vector{std::pair{1, StopReason::kMaxRequests}}));
}

TEST_F(WorkerPoolTest, AWorkerOverItsLimitIsReplacedAlsoWhenARolloutCameInBetween) {
  StartWith(2);
  pool.RollTo(2);
  pool.Recycle(2, StopReason::kMaxRequests);
  pool.RollBack();
  for (int turn = 0; turn < 3; ++turn) {
    BootAll();
    ExitDraining();
  }
  EXPECT_TRUE(pool.settled());
  EXPECT_EQ(pool.Find(2), nullptr);
  EXPECT_NE(pool.Find(1), nullptr);
  EXPECT_THAT(observer.gone, testing::Contains(std::pair{2, StopReason::kMaxRequests}));
}

TEST_F(WorkerPoolTest, AWorkerThatTimedOutServesUntilItsReplacementIsReady) {
  StartWith(2);
  pool.Recycle(1, StopReason::kTimeout);
  pool.Stuck(1);
  EXPECT_TRUE(spawner.signals.empty()) << "its other threads serve";
  EXPECT_EQ(spawner.forks.back(), 3);
  EXPECT_EQ(pool.ready_count(), 2);
  Boot(3);
  EXPECT_EQ(spawner.signals, (std::vector{std::pair{1, SIGTERM}}));
  pool.Stuck(1);
  EXPECT_EQ(spawner.signals.back(), (std::pair{1, SIGKILL})) << "it cannot drain";
  pool.Exited(1, "was killed by SIGKILL");
  EXPECT_EQ(observer.gone, (std::vector{std::pair{1, StopReason::kTimeout}}));
  EXPECT_TRUE(observer.crashed.empty());
  EXPECT_TRUE(pool.settled());
}

TEST_F(WorkerPoolTest, AWorkerThatTimedOutServesOnIfNoneCanReplaceIt) {
  StartWith(1);
  pool.Recycle(1, StopReason::kTimeout);
  for (int id = 2; id < 5; ++id) {
    ASSERT_EQ(spawner.forks.back(), id);
    pool.Forked(id, 100 + id);
    pool.BootFailed(id, {3, "no such module", ""});
    pool.Exited(id, "exited with code 3");
    EXPECT_EQ(pool.ready_count(), 1);
    if (pool.NextTick()) Advance(*pool.NextTick() - clock.now);
  }
  EXPECT_TRUE(spawner.signals.empty());
  Boot(5);
  EXPECT_EQ(spawner.signals, (std::vector{std::pair{1, SIGTERM}}));
}

TEST_F(WorkerPoolTest, TheTimeoutStaysTheReasonWhateverElseComes) {
  StartWith(2);
  pool.RollTo(2);  // is the reason at first
  pool.Recycle(1, StopReason::kTimeout);
  pool.Recycle(1, StopReason::kMaxRequests);
  pool.RollBack();
  EXPECT_TRUE(pool.Find(1)->expiring);
  EXPECT_EQ(pool.Find(1)->reason, StopReason::kTimeout);
  EXPECT_FALSE(pool.Find(2)->expiring);
  EXPECT_EQ(pool.Find(2)->reason, StopReason::kNone);
  pool.AcceptingStopped(1);
  EXPECT_EQ(pool.Find(1)->reason, StopReason::kTimeout);
}

TEST_F(WorkerPoolTest, AWorkerThatDrainsAlreadyMayTimeOutToo) {
  StartWith(2);
  pool.SetWanted(1);
  ASSERT_EQ(pool.Find(1)->reason, StopReason::kScaleDown);
  pool.Recycle(1, StopReason::kTimeout);
  EXPECT_EQ(pool.Find(1)->reason, StopReason::kTimeout);
  EXPECT_EQ(spawner.forks.size(), 2U) << "nobody takes its place";
  pool.Recycle(9, StopReason::kTimeout);
}

TEST_F(WorkerPoolTest, ShutdownDrainsThenQuits) {
  StartWith(2);
  pool.Shutdown(false);
  EXPECT_EQ(spawner.signals, (std::vector{std::pair{1, SIGTERM}, std::pair{2, SIGTERM}}));
  pool.Shutdown(true);
  EXPECT_EQ(spawner.signals.back(), (std::pair{2, SIGQUIT}));
  pool.Exited(1, "exited with code 0");
  pool.Exited(2, "exited with code 0");
  EXPECT_TRUE(pool.empty());
  EXPECT_EQ(spawner.forks.size(), 2U) << "nothing is started again";
}

TEST_F(WorkerPoolTest, ForksNothingWithoutAZygoteAndResumesWithOne) {
  StartWith(1);
  spawner.broken_generation = 1;
  pool.Exited(1, "was killed by SIGSEGV");
  EXPECT_EQ(spawner.forks.size(), 1U);
  spawner.broken_generation = -1;
  pool.Tick();
  EXPECT_EQ(spawner.forks.size(), 2U);
}

TEST_F(WorkerPoolTest, FailedForkIsABootFailure) {
  StartWith(1);
  pool.SetWanted(2);
  pool.ForkFailed(2, {1, "fork failed", ""});
  EXPECT_EQ(observer.failures, (std::vector{std::pair{2, std::string("fork failed")}}));
  EXPECT_EQ(pool.Find(2), nullptr);
}

TEST_F(WorkerPoolTest, TheCanaryComesFirstAndThenAsManyAtATimeAsTheSurgeAllows) {
  Settings settings;
  settings.reload_surge = 3;
  settings.reload_settle = 0;
  StartWith(4);
  pool.SetLimits(settings);
  pool.RollTo(2);
  EXPECT_EQ(spawner.forks.size(), 5U) << "one canary";
  Boot(5);
  EXPECT_EQ(pool.fresh_count(), 1);
  EXPECT_EQ(spawner.forks.size(), 8U) << "and three more";
  BootAll();
  ExitDraining();
  EXPECT_EQ(Generations(), (std::vector{2, 2, 2, 2}));
  EXPECT_FALSE(pool.rolling());
}

TEST_F(WorkerPoolTest, NoOldWorkerGoesBeforeTheCanaryHasLivedForAWhile) {
  StartWith(2);
  LetSettle(seconds(5));
  pool.RollTo(2);
  Boot(3);
  EXPECT_EQ(*pool.NextTick() - clock.now, seconds(5));
  Advance(milliseconds(4999));
  EXPECT_TRUE(spawner.signals.empty());
  EXPECT_EQ(spawner.forks.size(), 3U);
  Advance(milliseconds(1));
  EXPECT_EQ(spawner.signals, (std::vector{std::pair{1, SIGTERM}}));
  for (int turn = 0; turn < 2; ++turn) {
    ExitDraining();
    BootAll();
  }
  ExitDraining();
  EXPECT_TRUE(pool.settled());
  EXPECT_EQ(Generations(), (std::vector{2, 2}));
}

TEST_F(WorkerPoolTest, ACanaryThatDiesTakesNoOldWorkerWithIt) {
  StartWith(2);
  LetSettle(seconds(5));
  pool.RollTo(2);
  Boot(3);
  pool.Exited(3, "was killed by SIGSEGV");
  pool.RollBack();
  for (int turn = 0; turn < 2; ++turn) BootAll();
  Advance(seconds(5));
  EXPECT_TRUE(pool.settled());
  EXPECT_TRUE(spawner.signals.empty() || spawner.signals == (std::vector{std::pair{4, SIGKILL}}));
  EXPECT_EQ(Generations(), (std::vector{1, 1}));
}

TEST_F(WorkerPoolTest, GoesBackToAGenerationThatHasServedBefore) {
  StartWith(2);
  pool.RollTo(2);
  for (int turn = 0; turn < 2; ++turn) {
    BootAll();
    ExitDraining();
  }
  ASSERT_EQ(pool.generation(), 2);
  observer.gone.clear();

  spawner.broken_generation = 2;  // nothing more comes from it
  pool.RollTo(1, StopReason::kRollback);
  pool.Exited(4, "was killed by SIGSEGV");
  EXPECT_EQ(pool.Find(spawner.forks.back())->generation, 1)
      << "a gap is filled from what has proven itself";
  for (int turn = 0; turn < 2; ++turn) {
    BootAll();
    ExitDraining();
  }
  EXPECT_EQ(Generations(), (std::vector{1, 1}));
  EXPECT_EQ(pool.generation(), 1);
  EXPECT_THAT(observer.gone, testing::Contains(std::pair{3, StopReason::kRollback}));
}

TEST_F(WorkerPoolTest, AWorkerThatIsOldEnoughIsReplacedAndOnlyOneAtATime) {
  Settings settings;
  settings.max_worker_lifetime = 100;
  pool.SetLimits(settings);
  StartWith(2);
  EXPECT_EQ(*pool.NextTick() - clock.now, seconds(100));
  Advance(seconds(100));
  EXPECT_EQ(spawner.forks.size(), 3U) << "one replacement at a time";
  EXPECT_EQ(pool.ready_count(), 2);
  BootAll();
  ExitDraining();
  EXPECT_EQ(spawner.forks.size(), 4U);
  BootAll();
  ExitDraining();
  EXPECT_TRUE(pool.settled());
  EXPECT_EQ(observer.gone, (std::vector{std::pair{1, StopReason::kLifetime},
                                        std::pair{2, StopReason::kLifetime}}));
}

TEST_F(WorkerPoolTest, ACrashLoopIsToldFromAnAccidentAndEndsWithAQuietMinute) {
  StartWith(1);
  int id = 1;
  for (int crash = 0; crash < 3; ++crash) {
    EXPECT_FALSE(pool.crash_looping());
    pool.Exited(id, "was killed by SIGSEGV");
    if (pool.next_start()) Advance(*pool.next_start() - clock.now);
    id = spawner.forks.back();
    Boot(id);
  }
  EXPECT_TRUE(pool.crash_looping());
  Advance(seconds(61));
  EXPECT_FALSE(pool.crash_looping());
}

TEST_F(WorkerPoolTest, AWorkerMayCrashWhileItDrains) {
  StartWith(3);
  pool.SetWanted(1);
  WorkerExit crash("was killed by SIGSEGV");
  crash.signaled = true;
  pool.Exited(1, crash);
  pool.Exited(2, "exited with code 0");
  EXPECT_EQ(observer.crashed, std::vector{1});
  EXPECT_EQ(observer.gone,
            (std::vector{std::pair{1, StopReason::kCrash}, std::pair{2, StopReason::kScaleDown}}));
  EXPECT_TRUE(pool.settled());
  EXPECT_FALSE(pool.next_start());
}

TEST_F(WorkerPoolTest, WhoKilledAWorkerIsTold) {
  WorkerExit by_hand("was killed by SIGKILL");
  by_hand.killed = true;
  WorkerExit by_kernel = by_hand;
  by_kernel.out_of_memory = true;

  StartWith(3);
  pool.Exited(1, by_hand);
  EXPECT_FALSE(pool.next_start()) << "it is not to blame";
  pool.Exited(2, by_kernel);
  pool.Exited(3, "was killed by SIGSEGV");
  EXPECT_EQ(observer.gone,
            (std::vector{std::pair{1, StopReason::kOperator}, std::pair{2, StopReason::kOom},
                         std::pair{3, StopReason::kCrash}}));
  EXPECT_EQ(observer.exits[1], "was killed by SIGKILL by the kernel, for want of memory");
}

}  // namespace
}  // namespace gunid
