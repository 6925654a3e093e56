// Rollouts from their beginning to their end, with zygotes and workers that are no processes: each
// step, and a failure at each.
#include "supervisor/generations.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <ostream>
#include <set>

#include "config/settings_loader.h"
#include "supervisor/worker_pool.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

constexpr int kNoProcess = 1 << 23;  // above all pids

class FakeZygote : public Zygote {
 public:
  FakeZygote(ZygoteObserver& observer, int number, std::set<FakeZygote*>& living)
      : observer_(observer), number_(number), living_(living) {
    living_.insert(this);
  }
  ~FakeZygote() override { living_.erase(this); }

  [[nodiscard]] int generation() const override { return number_; }
  [[nodiscard]] bool ready() const override { return ready_; }
  [[nodiscard]] bool failed() const override { return failed_; }
  [[nodiscard]] ZygoteState ToState() const override { return {}; }
  void LimitBootTime(double /*seconds*/) override {}
  void SendListeners(const ListenersOpened& opened, const std::vector<int>& /*fds*/) override {
    listeners = opened;
  }
  Status Fork(const ForkRequest& request, int /*channel*/, int /*stack*/, int /*errors*/) override {
    requests.push_back(request.worker_id);
    return {};
  }
  void KillAndWait() override { ready_ = false; }

  // What a zygote does.
  void LoadSettings(const Settings& settings) {
    observer_.ZygoteLoadedSettings(*this, {SettingsToJson(settings), {}});
  }
  void BecomeReady() {
    ready_ = true;
    observer_.ZygoteBecameReady(*this);
  }
  void Fail(const std::string& why) {
    ready_ = false;
    failed_ = true;
    observer_.ZygoteFailed(*this, {3, why, "Traceback"});
  }
  std::vector<int> ForkAll() {
    const std::vector<int> ids = std::exchange(requests, {});
    for (const int id : ids) observer_.ZygoteForked(*this, {id, kNoProcess + id});
    return ids;
  }

  std::optional<ListenersOpened> listeners;
  std::vector<int> requests;

 private:
  ZygoteObserver& observer_;
  const int number_;
  std::set<FakeZygote*>& living_;
  bool ready_ = false;
  bool failed_ = false;
};

class FakeZygotes : public ZygoteFactory {
 public:
  Result<std::unique_ptr<Zygote>> Start(ZygoteObserver& observer, int generation) override {
    if (!error.empty()) return Error{error};
    return std::unique_ptr<Zygote>(std::make_unique<FakeZygote>(observer, generation, living));
  }
  std::unique_ptr<Zygote> Adopt(ZygoteObserver& observer, const ZygoteState& /*state*/,
                                int generation) override {
    return std::make_unique<FakeZygote>(observer, generation, living);
  }
  FakeZygote* Of(int generation) {
    for (FakeZygote* zygote : living) {
      if (zygote->generation() == generation && !zygote->failed()) return zygote;
    }
    return nullptr;
  }

  std::set<FakeZygote*> living;
  std::string error;  // of the next start
};

class GenerationsTest : public testing::Test, public GenerationsObserver, public PoolObserver {
 protected:
  GenerationsTest() {
    settings.wsgi_app = "app:app";
    settings.bind = {"127.0.0.1:0"};
    settings.workers = 2;
    settings.reload_settle = 0;
  }

  // What the supervisor does with what it is told.
  bool StartsAnew(const Settings& /*loaded*/) override { return false; }
  Status FirstSettingsLoaded(const Settings& loaded) override {
    pool.SetWanted(static_cast<int>(loaded.workers));
    return {};
  }
  void ConfigurationChecked() override { told.emplace_back("checked"); }
  void GenerationServes() override {
    pool.SetWanted(static_cast<int>(generations.serving()->settings.workers));
  }
  void RolloutFailed(RolloutKind kind, const BootFailure& failure) override {
    told.push_back((kind == RolloutKind::kLoad ? "reload failed: " : "rollback failed: ") +
                   failure.message);
  }
  void RolloutFinished(RolloutKind kind) override {
    told.push_back((kind == RolloutKind::kLoad       ? "loaded "
                    : kind == RolloutKind::kRollback ? "rolled back to "
                                                     : "returned to ") +
                   std::to_string(generations.serving()->number));
  }
  void ZygoteLost(const BootFailure& failure) override {
    told.push_back("lost: " + failure.message);
  }
  void FilesWereLoaded(const FilesLoaded& /*loaded*/) override {}
  void WorkerBecameReady(const WorkerHandle& /*worker*/) override {}
  void WorkerHangs(const WorkerHandle& /*worker*/) override {}
  void WorkerFailedToBoot(const WorkerHandle& worker, const BootFailure& failure) override {
    loop.Post([this, number = worker.generation, failure] { generations.Fail(number, failure); });
  }
  void WorkerCrashed(const WorkerHandle& worker, const std::string& exit) override {
    loop.Post([this, number = worker.generation, exit] {
      generations.Fail(number, {3, "worker " + exit, ""});
    });
  }
  void WorkerGone(const WorkerHandle& worker, const std::string& /*exit*/) override {
    spawner.Forget(worker.id);
  }

  void Turn() {
    generations.Settle();
    pool.Tick();
    loop.RunOnce(Nanoseconds(0));
    generations.Settle();
  }
  // One step of all workers: those asked for are forked and ready, those told to go have gone.
  void StepWorkers() {
    for (FakeZygote* zygote : std::vector(zygotes.living.begin(), zygotes.living.end())) {
      if (!zygote->ready()) continue;
      for (const int id : zygote->ForkAll()) pool.Ready(id);
    }
    for (const auto& [id, worker] : std::map(pool.workers())) {
      if (worker.state == WorkerState::kDraining || worker.state == WorkerState::kKilling)
        pool.Exited(id, WorkerExit("exited with code 0"));
    }
    Turn();
  }
  void RunWorkers() {
    for (int i = 0; i < 20; ++i) StepWorkers();
  }
  // Until nothing is under way; settling takes its time.
  void RunToEnd() {
    for (int i = 0; i < 1000 && (generations.rolling_out() || !pool.replaced()); ++i) {
      StepWorkers();
      loop.RunOnce(std::chrono::milliseconds(1));
    }
    RunWorkers();
  }
  // Loads the generation of that number as far as its workers.
  void Load(int number) {
    generations.StartRollout();
    zygotes.Of(number)->LoadSettings(settings);
    zygotes.Of(number)->BecomeReady();
    Turn();
  }
  void Serve(int number) {
    Load(number);
    RunToEnd();
    ASSERT_EQ(generations.serving()->number, number);
    told.clear();
  }
  [[nodiscard]] std::multiset<int> ReadyGenerations() const {
    std::multiset<int> numbers;
    for (const auto& [id, worker] : pool.workers()) {
      if (worker.state == WorkerState::kReady) numbers.insert(worker.generation);
    }
    return numbers;
  }
  void Kill(int generation, const std::string& how) {
    for (const auto& [id, worker] : std::map(pool.workers())) {
      if (worker.generation != generation || worker.state != WorkerState::kReady) continue;
      return pool.Exited(id, WorkerExit(how));
    }
    FAIL() << "no worker of generation " << generation;
  }

  const std::filesystem::path started_in = std::filesystem::current_path();
  Settings settings;
  std::vector<std::string> told;
  class ForwardClock : public Clock {
   public:
    [[nodiscard]] TimePoint Now() const override { return Clock::Now() + ahead; }
    Nanoseconds ahead{0};
  };
  ForwardClock clock;
  EventLoop loop;
  Reaper reaper{loop};
  StackDump stacks{loop};
  FakeZygotes zygotes;
  WorkerSpawner spawner{
      loop,
      reaper,
      stacks,
      nullptr,
      {.forked = [this](int id, int pid) { pool.Forked(id, pid); },
       .fork_failed = [this](int id, const BootFailure& why) { pool.ForkFailed(id, why); },
       .message = [](int, const Message&) {},
       .exited = [](int, const WorkerExit&) {}}};
  WorkerPool pool{clock, spawner, *this, 64};
  Generations generations{
      loop, zygotes, spawner, pool, {std::filesystem::current_path().string(), {}, {}}, *this};
};

TEST_F(GenerationsTest, TheFirstStart) {
  EXPECT_EQ(generations.serving(), nullptr);
  EXPECT_FALSE(generations.idle());
  Load(1);
  ASSERT_TRUE(zygotes.Of(1)->listeners);
  EXPECT_NE(zygotes.Of(1)->listeners->addresses.at(0).port, 0);
  RunToEnd();
  EXPECT_EQ(told, std::vector<std::string>{"loaded 1"});
  EXPECT_TRUE(generations.idle());
  EXPECT_EQ(ReadyGenerations(), (std::multiset<int>{1, 1}));
}

TEST_F(GenerationsTest, AReloadReplacesWorkersAndKeepsTheOldGeneration) {
  Serve(1);
  settings.workers = 3;
  Load(2);
  EXPECT_EQ(generations.serving()->number, 1);
  EXPECT_EQ(zygotes.Of(1)->listeners->addresses, zygotes.Of(2)->listeners->addresses);
  RunToEnd();
  EXPECT_EQ(told, std::vector<std::string>{"loaded 2"});
  EXPECT_EQ(ReadyGenerations(), (std::multiset<int>{2, 2, 2}));
  EXPECT_EQ(generations.kept(), std::vector<int>{1});

  generations.StartRollback();
  RunToEnd();
  EXPECT_EQ(told.back(), "rolled back to 1");
  EXPECT_EQ(ReadyGenerations(), (std::multiset<int>{1, 1}));
  EXPECT_EQ(generations.kept(), std::vector<int>{2});
}

// A way for a rollout to fail, and how far it gets before.
struct FailingStep {
  const char* name;
  void (*fail)(GenerationsTest& test, int number);
  double reload_settle = 0;
};

void PrintTo(const FailingStep& step, std::ostream* out) {
  *out << step.name;
}

class GenerationFails : public GenerationsTest, public testing::WithParamInterface<FailingStep> {
 public:
  // Steps, as the zygote and the workers of that generation take them.
  static void Configuration(GenerationsTest& test, int number) {
    Of(test).generations.StartRollout();
    Of(test).zygotes.Of(number)->Fail("no");
  }
  static void Bind(GenerationsTest& test, int number) {
    Settings unusable = Of(test).settings;
    unusable.bind = {"127.0.0.1:0", "unix:/nonexistent/directory/no"};
    Of(test).generations.StartRollout();
    Of(test).zygotes.Of(number)->LoadSettings(unusable);
  }
  static void Directory(GenerationsTest& test, int number) {
    Settings unusable = Of(test).settings;
    unusable.chdir = "/nonexistent/no";
    Of(test).generations.StartRollout();
    Of(test).zygotes.Of(number)->LoadSettings(unusable);
  }
  static void Import(GenerationsTest& test, int number) {
    Of(test).generations.StartRollout();
    Of(test).zygotes.Of(number)->LoadSettings(Of(test).settings);
    Of(test).zygotes.Of(number)->Fail("no");
  }
  static void ZygoteBeforeTheFirstWorker(GenerationsTest& test, int number) {
    Of(test).Load(number);
    Of(test).zygotes.Of(number)->Fail("no");
  }
  static void Fork(GenerationsTest& test, int number) {
    Of(test).Load(number);
    const std::vector<int> ids = std::exchange(Of(test).zygotes.Of(number)->requests, {});
    Of(test).pool.ForkFailed(ids.at(0), {3, "no", ""});
  }
  static void Boot(GenerationsTest& test, int number) {
    Of(test).Load(number);
    const int id = Of(test).zygotes.Of(number)->ForkAll().at(0);
    Of(test).pool.BootFailed(id, {3, "no", ""});
    Of(test).pool.Exited(id, WorkerExit("exited with code 3"));
  }
  static void DeathBeforeReady(GenerationsTest& test, int number) {
    Of(test).Load(number);
    const int id = Of(test).zygotes.Of(number)->ForkAll().at(0);
    Of(test).pool.Exited(id, WorkerExit("was killed by no signal of ours"));
  }
  static void DeathOfTheCanary(GenerationsTest& test, int number) {
    Of(test).Load(number);
    Of(test).pool.Ready(Of(test).zygotes.Of(number)->ForkAll().at(0));
    Of(test).Kill(number, "had no luck");
  }
  static void SecondWorker(GenerationsTest& test, int number) {
    Of(test).Load(number);
    Of(test).pool.Ready(Of(test).zygotes.Of(number)->ForkAll().at(0));
    Of(test).Turn();
    const int id = Of(test).zygotes.Of(number)->ForkAll().at(0);
    Of(test).pool.BootFailed(id, {3, "no", ""});
    Of(test).pool.Exited(id, WorkerExit("exited with code 3"));
  }
  static void DeathWhileItSettles(GenerationsTest& test, int number) {
    Of(test).Load(number);
    const auto settling = [&] {
      const Rollout* rollout = Of(test).generations.rollout();
      return rollout != nullptr && rollout->state == RolloutState::kSettling;
    };
    for (int i = 0; i < 2000 && !settling(); ++i) {
      Of(test).StepWorkers();
      Of(test).loop.RunOnce(std::chrono::milliseconds(1));
    }
    ASSERT_TRUE(settling());
    Of(test).Kill(number, "had no luck");
  }

 private:
  // The steps above may look into it.
  static GenerationFails& Of(GenerationsTest& test) { return static_cast<GenerationFails&>(test); }
};

std::string NameOf(const testing::TestParamInfo<FailingStep>& info) {
  return info.param.name;
}

constexpr FailingStep kSteps[] = {
    {"Configuration", GenerationFails::Configuration},
    {"Bind", GenerationFails::Bind},
    {"Directory", GenerationFails::Directory},
    {"Import", GenerationFails::Import},
    {"ZygoteBeforeTheFirstWorker", GenerationFails::ZygoteBeforeTheFirstWorker},
    {"Fork", GenerationFails::Fork},
    {"Boot", GenerationFails::Boot},
    {"DeathBeforeReady", GenerationFails::DeathBeforeReady},
};
// Of a reload only: at a first start a worker that was ready is replaced.
constexpr FailingStep kLaterSteps[] = {
    {"DeathOfTheCanary", GenerationFails::DeathOfTheCanary, 0.05},
    {"SecondWorker", GenerationFails::SecondWorker},
    {"DeathWhileItSettles", GenerationFails::DeathWhileItSettles, 0.05},
};

class FirstStartFails : public GenerationFails {};
INSTANTIATE_TEST_SUITE_P(Steps, FirstStartFails, testing::ValuesIn(kSteps), NameOf);

TEST_P(FirstStartFails, AndNothingServes) {
  GetParam().fail(*this, 1);
  Turn();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_TRUE(told[0].starts_with("reload failed: ") && told[0].find("no") != std::string::npos)
      << told[0];
  EXPECT_EQ(generations.serving(), nullptr);
  EXPECT_FALSE(generations.rolling_out());
}

class ReloadFails : public GenerationFails {};
INSTANTIATE_TEST_SUITE_P(Steps, ReloadFails, testing::ValuesIn(kSteps), NameOf);
INSTANTIATE_TEST_SUITE_P(LaterSteps, ReloadFails, testing::ValuesIn(kLaterSteps), NameOf);

TEST_P(ReloadFails, AndTheOldGenerationServesAsBefore) {
  Serve(1);
  const ListenerSet before = generations.listeners();
  settings.reload_settle = GetParam().reload_settle;
  GetParam().fail(*this, 2);
  Turn();
  RunToEnd();
  ASSERT_FALSE(told.empty());
  EXPECT_TRUE(told[0].starts_with("reload failed: ") && told[0].find("no") != std::string::npos)
      << told[0];
  // Only what had replaced all others has to be returned from.
  if (told.size() > 1) {
    EXPECT_EQ(told.back(), "returned to 1");
  }
  EXPECT_EQ(generations.serving()->number, 1);
  EXPECT_TRUE(generations.idle());
  EXPECT_EQ(ReadyGenerations(), (std::multiset<int>{1, 1}));
  EXPECT_EQ(pool.workers().size(), 2U) << "no worker of the failed generation is left";
  EXPECT_EQ(generations.kept(), std::vector<int>()) << "nobody wants to go back to it";
  EXPECT_EQ(zygotes.Of(2), nullptr);
  EXPECT_EQ(generations.listeners().fds(), before.fds());
  EXPECT_EQ(std::filesystem::current_path(), started_in);

  told.clear();
  settings.reload_settle = 0;
  Load(3);
  RunToEnd();
  EXPECT_EQ(told, std::vector<std::string>{"loaded 3"});
  EXPECT_EQ(ReadyGenerations(), (std::multiset<int>{3, 3}));
}

TEST_F(GenerationsTest, AZygoteThatCannotBeStartedFailsTheReload) {
  Serve(1);
  zygotes.error = "no zygote";
  generations.StartRollout();
  EXPECT_EQ(told, std::vector<std::string>{"reload failed: no zygote"});
  EXPECT_TRUE(generations.idle());
}

TEST_F(GenerationsTest, ARollbackMayFailToo) {
  Serve(1);
  Serve(2);
  generations.StartRollback();
  Turn();
  const int id = zygotes.Of(1)->ForkAll().at(0);
  pool.BootFailed(id, {3, "no", ""});
  pool.Exited(id, WorkerExit("exited with code 3"));
  RunToEnd();
  EXPECT_EQ(told, std::vector<std::string>{"rollback failed: no"});
  EXPECT_EQ(generations.serving()->number, 2);
  EXPECT_EQ(ReadyGenerations(), (std::multiset<int>{2, 2}));
}

TEST_F(GenerationsTest, ALostZygoteIsReplacedAndItsGenerationStays) {
  Serve(1);
  zygotes.Of(1)->Fail("it died");
  EXPECT_EQ(told, std::vector<std::string>{"lost: it died"});
  EXPECT_FALSE(generations.idle());
  while (zygotes.Of(1) == nullptr) loop.RunOnce();
  zygotes.Of(1)->LoadSettings(settings);
  zygotes.Of(1)->BecomeReady();
  EXPECT_TRUE(generations.idle());
  EXPECT_EQ(ReadyGenerations(), (std::multiset<int>{1, 1}));
}

TEST_F(GenerationsTest, AKeptGenerationWhoseZygoteDiesIsGivenUp) {
  Serve(1);
  Serve(2);
  EXPECT_EQ(generations.kept(), std::vector<int>{1});
  zygotes.Of(1)->Fail("it died");
  Turn();
  EXPECT_EQ(generations.kept(), std::vector<int>());
  EXPECT_EQ(told, std::vector<std::string>());
}

TEST_F(GenerationsTest, WithoutAWayBackTheNewGenerationServesOn) {
  Serve(1);
  settings.reload_settle = 60;
  Load(2);
  // The canary's time.
  while (generations.rollout()->state != RolloutState::kSettling) {
    clock.ahead += std::chrono::seconds(60);
    StepWorkers();
  }
  zygotes.Of(1)->Fail("it died");
  Turn();
  Kill(2, "had no luck");
  Turn();
  EXPECT_EQ(told, std::vector<std::string>{"reload failed: worker had no luck"});
  EXPECT_FALSE(generations.rolling_out());
  EXPECT_EQ(generations.serving()->number, 2);
  RunWorkers();
  EXPECT_EQ(ReadyGenerations(), (std::multiset<int>{2, 2}));
}

TEST_F(GenerationsTest, WhatCannotBeAdoptedLeavesTheSocketsOfTheRunningServer) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("socket");
  settings.bind = {"unix:" + path};
  Serve(1);
  GenerationsState state = generations.ToState();
  state.generations[0].settings = "{ no settings";
  state.listeners.sockets.at(0).fd = dup(state.listeners.sockets.at(0).fd);
  Generations rehearsal{loop, zygotes, spawner, pool, {"/", {}, {}}, *this};
  EXPECT_FALSE(rehearsal.Adopt(state));
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(GenerationsTest, AStopDuringARolloutEndsAllZygotes) {
  Serve(1);
  Load(2);
  generations.Stop();
  EXPECT_FALSE(generations.rolling_out());
  for (const FakeZygote* zygote : zygotes.living) EXPECT_FALSE(zygote->ready());
}

TEST_F(GenerationsTest, CheckConfigStartsNoWorker) {
  settings.check_config = true;
  Load(1);
  EXPECT_EQ(told, std::vector<std::string>{"checked"});
  EXPECT_TRUE(pool.workers().empty());
}

}  // namespace
}  // namespace gunid
