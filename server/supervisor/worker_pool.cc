#include "supervisor/worker_pool.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "gunid/exit_codes.h"
#include "supervisor/pool_plan.h"

namespace gunid {
namespace {

// How long a worker may take to die once it was told to go at once.
constexpr double kKillGraceSeconds = 1;

BootFailure BootFailureBefore(const WorkerHandle& worker, const std::string& what) {
  return {
      exit_code::kBootError,
      "worker " + std::to_string(worker.id) + " (pid:" + std::to_string(worker.pid) + ") " + what,
      ""};
}

// Of one that nobody here has told to go.
StopReason ReasonOf(const WorkerExit& exit) {
  if (exit.out_of_memory) return StopReason::kOom;
  return exit.killed ? StopReason::kOperator : StopReason::kCrash;
}

}  // namespace

WorkerPool::WorkerPool(const Clock& clock, Spawner& spawner, PoolObserver& observer, int slot_count)
    : clock_(clock), spawner_(spawner), observer_(observer) {
  for (int slot = 0; slot < slot_count; ++slot) free_slots_.insert(slot);
}

PoolState WorkerPool::ToState() const {
  PoolState state{.wanted = wanted_, .generation = generation_, .next_id = next_id_, .workers = {}};
  for (const auto& [id, worker] : workers_) state.workers.push_back(worker);
  return state;
}

void WorkerPool::Adopt(const PoolState& state) {
  wanted_ = state.wanted;
  generation_ = state.generation;
  next_id_ = state.next_id;
  for (const WorkerHandle& worker : state.workers) {
    free_slots_.erase(worker.slot);
    workers_.emplace(worker.id, worker);
  }
}

void WorkerPool::SetLimits(const Settings& settings) {
  boot_timeout_s_ = settings.boot_timeout;
  graceful_timeout_s_ = settings.graceful_timeout;
  lifetime_s_ = settings.max_worker_lifetime;
  reload_surge_ = static_cast<int>(settings.reload_surge);
  reload_settle_s_ = settings.settle_time();
}

void WorkerPool::SetWanted(int wanted) {
  wanted_ = wanted;
  Reconcile();
}

void WorkerPool::RollTo(int generation, StopReason reason) {
  next_generation_ = generation;
  next_proven_ = reason == StopReason::kRollback;
  next_proven_at_.reset();
  roll_reason_ = reason;
  first_new_id_ = next_id_;
  backoff_.Reset();
  for (auto& [id, worker] : workers_) {
    if (Staying(worker)) Expire(worker, reason);
  }
  Reconcile();
}

void WorkerPool::RollBack() {
  if (!next_generation_) return;
  Unexpire();
  for (auto& [id, worker] : workers_) {
    if (!Staying(worker) || worker.generation != *next_generation_) continue;
    // Before it is proven it has taken nobody's place.
    if (next_proven_ && worker.state == WorkerState::kReady) {
      Expire(worker, StopReason::kRollback);
    } else {
      Retire(id, StopReason::kRollback);
    }
  }
  next_generation_.reset();
  next_proven_at_.reset();
  first_new_id_ = 1;
  backoff_.Reset();
  Reconcile();
}

void WorkerPool::Restart() {
  first_new_id_ = next_id_;
  for (auto& [id, worker] : workers_) {
    if (Staying(worker)) Expire(worker, StopReason::kRestart);
  }
  Reconcile();
}

void WorkerPool::CancelRestart() {
  first_new_id_ = 1;
  Unexpire();
  Reconcile();
}

void WorkerPool::Recycle(int worker_id, StopReason reason) {
  const auto found = workers_.find(worker_id);
  if (found == workers_.end()) return;
  WorkerHandle& worker = found->second;
  if (reason == StopReason::kTimeout) worker.reason = reason;
  if (!Staying(worker)) return;
  if (worker.recycle != StopReason::kTimeout) worker.recycle = reason;
  Expire(worker, reason);
  Reconcile();
}

void WorkerPool::Expel(int worker_id, StopReason reason) {
  const auto found = workers_.find(worker_id);
  if (found == workers_.end()) return;
  WorkerHandle& worker = found->second;
  if (worker.state != WorkerState::kReady) return;
  worker.reason = reason;
  backoff_.Failed(clock_.Now());
  Apply(worker, WorkerEvent::kQuit);
  Reconcile();
}

void WorkerPool::Shutdown(bool quick) {
  shutting_down_ = true;
  for (auto& [id, worker] : workers_) {
    if (worker.reason == StopReason::kNone) worker.reason = StopReason::kShutdown;
    Apply(worker, quick ? WorkerEvent::kQuit : WorkerEvent::kDrain);
  }
}

void WorkerPool::Forked(int worker_id, int pid) {
  const auto found = workers_.find(worker_id);
  if (found == workers_.end()) return;
  found->second.pid = pid;
  Apply(found->second, WorkerEvent::kForked);
}

void WorkerPool::ForkFailed(int worker_id, const BootFailure& failure) {
  const auto found = workers_.find(worker_id);
  if (found == workers_.end() || found->second.state == WorkerState::kGone) return;
  Apply(found->second, WorkerEvent::kForkFailed, failure);
  Remove(worker_id, "");
  Reconcile();
}

void WorkerPool::Ready(int worker_id) {
  const auto found = workers_.find(worker_id);
  if (found == workers_.end()) return;
  Apply(found->second, WorkerEvent::kReady);
  Reconcile();
}

void WorkerPool::BootFailed(int worker_id, const BootFailure& failure) {
  const auto found = workers_.find(worker_id);
  if (found == workers_.end()) return;
  Apply(found->second, WorkerEvent::kBootFailed, failure);
}

void WorkerPool::AcceptingStopped(int worker_id) {
  const auto found = workers_.find(worker_id);
  if (found == workers_.end()) return;
  WorkerHandle& worker = found->second;
  worker.accepting = false;
  if (worker.state == WorkerState::kReady && worker.reason != StopReason::kTimeout) {
    worker.reason = StopReason::kOperator;
  }
  Apply(worker, WorkerEvent::kDrains);
  Reconcile();
}

void WorkerPool::Stuck(int worker_id) {
  const auto found = workers_.find(worker_id);
  if (found == workers_.end()) return;
  WorkerHandle& worker = found->second;
  Apply(worker, WorkerEvent::kStuck);
  worker.killed_stuck = worker.state == WorkerState::kKilling;
}

void WorkerPool::Hangs(int worker_id, const std::string& stacks) {
  const auto found = workers_.find(worker_id);
  if (found == workers_.end()) return;
  BootFailure failure =
      BootFailureBefore(found->second, "did not become ready within boot_timeout");
  failure.traceback = CutToFit(stacks);
  Apply(found->second, WorkerEvent::kHangs, failure);
  Reconcile();
}

void WorkerPool::Exited(int worker_id, const WorkerExit& exit) {
  const auto found = workers_.find(worker_id);
  if (found == workers_.end()) return;
  WorkerHandle& worker = found->second;
  // While it drains it may end, but is sent no signal that it would die of.
  const bool unexpected = worker.state == WorkerState::kReady ||
                          (worker.state == WorkerState::kDraining && exit.signaled);
  if (unexpected) worker.reason = ReasonOf(exit);
  const std::string how =
      exit.text + (exit.out_of_memory ? " by the kernel, for want of memory" : "");
  Apply(worker, WorkerEvent::kExited, BootFailureBefore(worker, how + " before it was ready"));
  spdlog::log(unexpected ? spdlog::level::err : spdlog::level::info,
              "Worker (pid:{}) {}; reason: {}", worker.pid, how, StopReasonName(worker.reason));
  if (unexpected) observer_.WorkerCrashed(worker, how);
  Remove(worker_id, how);
  Reconcile();
}

void WorkerPool::Tick() {
  const TimePoint now = clock_.Now();
  for (auto& [id, worker] : workers_) {
    if (!worker.deadline || *worker.deadline > now) continue;
    worker.deadline.reset();
    Apply(worker, WorkerEvent::kDeadline);
  }
  if (next_proven_at_ && *next_proven_at_ <= now) {
    next_proven_at_.reset();
    next_proven_ = true;
  }
  RecycleTheOld();
  Reconcile();
}

void WorkerPool::CanaryIsReady() {
  const bool first_start = generation_ == 0;
  if (first_start || reload_settle_s_ <= 0) {
    next_proven_ = true;
  } else if (!next_proven_ && !next_proven_at_) {
    next_proven_at_ = clock_.Now() + FromSeconds(reload_settle_s_);
  }
}

void WorkerPool::RecycleTheOld() {
  for (auto& [id, worker] : workers_) {
    if (!worker.lifetime_end || *worker.lifetime_end > clock_.Now()) continue;
    worker.lifetime_end.reset();
    if (!Staying(worker) || worker.recycle != StopReason::kNone) continue;
    spdlog::info("Worker {} is to be replaced; reason: {}", id,
                 StopReasonName(StopReason::kLifetime));
    worker.recycle = StopReason::kLifetime;
    Expire(worker, worker.recycle);
  }
}

std::optional<TimePoint> WorkerPool::NextTick() const {
  std::optional<TimePoint> next;
  if (start_pending_) next = backoff_.allowed_at();
  if (next_proven_at_ && (!next || *next_proven_at_ < *next)) next = next_proven_at_;
  for (const auto& [id, worker] : workers_) {
    for (const auto& moment : {worker.deadline, worker.lifetime_end}) {
      if (moment && (!next || *moment < *next)) next = moment;
    }
  }
  return next;
}

const WorkerHandle* WorkerPool::Find(int worker_id) const {
  const auto found = workers_.find(worker_id);
  return found == workers_.end() ? nullptr : &found->second;
}

const WorkerHandle* WorkerPool::FindByPid(int pid) const {
  const auto found = std::find_if(workers_.begin(), workers_.end(),
                                  [pid](const auto& entry) { return entry.second.pid == pid; });
  return pid == 0 || found == workers_.end() ? nullptr : &found->second;
}

int WorkerPool::ready_count() const {
  return static_cast<int>(std::count_if(workers_.begin(), workers_.end(), [](const auto& entry) {
    return entry.second.state == WorkerState::kReady;
  }));
}

int WorkerPool::fresh_count() const {
  return ReadyOf(next_generation_.value_or(generation_));
}

int WorkerPool::ReadyOf(int generation) const {
  return static_cast<int>(std::ranges::count_if(workers_, [generation](const auto& entry) {
    return entry.second.state == WorkerState::kReady && entry.second.generation == generation;
  }));
}

bool WorkerPool::replaced() const {
  const bool old_ones_serve = std::ranges::any_of(workers_, [this](const auto& entry) {
    const auto& [id, worker] = entry;
    const bool accepts = worker.state == WorkerState::kDraining && worker.accepting;
    return id < first_new_id_ && (Staying(worker) || accepts);
  });
  return !old_ones_serve && ready_count() >= wanted_;
}

bool WorkerPool::has_processes() const {
  return std::ranges::all_of(workers_, [](const auto& entry) { return entry.second.pid > 0; });
}

bool WorkerPool::settled() const {
  const auto recycled = std::ranges::count_if(workers_, [](const auto& entry) {
    const WorkerHandle& worker = entry.second;
    const bool replacement = worker.surge && worker.state != WorkerState::kReady;
    return Staying(worker) ? replacement : worker.recycle != StopReason::kNone;
  });
  return ready_count() >= wanted_ &&
         static_cast<std::ptrdiff_t>(workers_.size()) - recycled == wanted_;
}

void WorkerPool::Apply(WorkerHandle& worker, WorkerEvent event, const BootFailure& failure) {
  const WorkerTransition transition = NextWorkerState(worker.state, event);
  worker.state = transition.next;
  for (const WorkerAction action : transition.actions) Act(worker, action, failure);
}

void WorkerPool::Act(WorkerHandle& worker, WorkerAction action, const BootFailure& failure) {
  switch (action) {
    case WorkerAction::kNone:
      break;
    case WorkerAction::kSendGo:
      spawner_.SendGo(worker);
      break;
    case WorkerAction::kSendTerm:
      spawner_.SendSignal(worker, SIGTERM);
      break;
    case WorkerAction::kSendQuit:
      spawner_.SendSignal(worker, SIGQUIT);
      break;
    case WorkerAction::kSendKill:
      spawner_.SendSignal(worker, SIGKILL);
      break;
    case WorkerAction::kArmBootDeadline:
      Arm(worker, boot_timeout_s_);
      break;
    case WorkerAction::kArmDrainDeadline:
      Arm(worker, std::max(graceful_timeout_s_, 0.001));
      break;
    case WorkerAction::kArmKillDeadline:
      Arm(worker, kKillGraceSeconds);
      break;
    case WorkerAction::kDisarm:
      worker.deadline.reset();
      break;
    case WorkerAction::kDumpStacks:
      observer_.WorkerHangs(worker);
      break;
    case WorkerAction::kReportReady:
      if (worker.generation == next_generation_) CanaryIsReady();
      if (lifetime_s_ > 0) worker.lifetime_end = clock_.Now() + FromSeconds(lifetime_s_);
      observer_.WorkerBecameReady(worker);
      break;
    case WorkerAction::kReportBootFailure:
      worker.reason = StopReason::kBootFailure;
      backoff_.Failed(clock_.Now());
      observer_.WorkerFailedToBoot(worker, failure);
      break;
    case WorkerAction::kReportCrash:
      // What is killed by hand is not to blame.
      if (worker.reason != StopReason::kOperator) backoff_.Failed(clock_.Now());
      break;
  }
}

void WorkerPool::Retire(int worker_id, StopReason reason) {
  WorkerHandle& worker = workers_.at(worker_id);
  if (worker.reason == StopReason::kNone) worker.reason = reason;
  Apply(worker, WorkerEvent::kDrain);
}

void WorkerPool::Expire(WorkerHandle& worker, StopReason reason) {
  if (!worker.expiring) worker.reason = reason;
  worker.expiring = true;
}

// Those that were to be replaced, but for what they have done themselves.
void WorkerPool::Unexpire() {
  for (auto& [id, worker] : workers_) {
    if (!Staying(worker)) continue;
    worker.expiring = worker.recycle != StopReason::kNone;
    worker.reason = worker.recycle;
  }
}

void WorkerPool::Reconcile() {
  start_pending_ = false;
  if (shutting_down_ || (generation_ == 0 && !next_generation_)) return;
  if (CanaryIsOut()) StartCanary();

  std::vector<PlannedWorker> staying;
  for (const auto& [id, worker] : workers_) {
    if (!Staying(worker)) continue;
    // A canary takes nobody's place before it is proven.
    const bool canary = next_generation_ && !next_proven_ && worker.generation == *next_generation_;
    const bool ready = worker.state == WorkerState::kReady && !canary;
    staying.push_back({id, ready, worker.expiring, worker.surge});
  }
  const PoolPlan plan = PlanPool(wanted_, SurgeLimit(), staying);
  for (const int id : plan.retire) Retire(id, StopReason::kScaleDown);

  if (plan.fill + plan.surge > 0 && clock_.Now() < backoff_.allowed_at()) {
    start_pending_ = true;
  } else {
    for (int i = 0; i < plan.fill; ++i) Spawn(FillGeneration(), false);
    for (int i = 0; i < plan.surge; ++i) Spawn(next_generation_.value_or(generation_), true);
  }

  const bool rolled =
      next_generation_ && ready_count() >= wanted_ &&
      std::all_of(workers_.begin(), workers_.end(), [this](const auto& entry) {
        return !Staying(entry.second) || entry.second.generation == *next_generation_;
      });
  if (rolled) {
    generation_ = *next_generation_;
    next_generation_.reset();
  }
}

// A rollout has begun, and no worker of the new generation is there that could prove it.
bool WorkerPool::CanaryIsOut() const {
  return next_generation_ && !next_proven_ && generation_ != 0 &&
         std::ranges::none_of(workers_, [this](const auto& entry) {
           return Staying(entry.second) && entry.second.generation == *next_generation_;
         });
}

// Whatever the old generation lacks: it may be what that waits for.
void WorkerPool::StartCanary() {
  next_proven_at_.reset();
  Spawn(*next_generation_, true);
}

// Replacements under way at a time. Of a rollout the first is the canary; the way back is short.
int WorkerPool::SurgeLimit() const {
  if (next_generation_) return next_proven_ ? reload_surge_ : 1;
  const bool going_back = std::ranges::any_of(workers_, [this](const auto& entry) {
    return Staying(entry.second) && entry.second.generation != generation_;
  });
  return going_back ? wanted_ : 1;
}

void WorkerPool::Spawn(int generation, bool surge) {
  if (!spawner_.CanFork(generation) || free_slots_.empty()) return;
  const int id = next_id_++;
  const int slot = *free_slots_.begin();
  free_slots_.erase(free_slots_.begin());
  WorkerHandle worker{
      .id = id, .slot = slot, .generation = generation, .surge = surge, .created = clock_.Now()};
  // It fills a gap before the next generation is proven, and is then replaced like the others.
  if (next_generation_ && generation != *next_generation_) Expire(worker, roll_reason_);
  spawner_.Fork(workers_.emplace(id, std::move(worker)).first->second);
}

void WorkerPool::Remove(int worker_id, const std::string& exit) {
  const auto found = workers_.find(worker_id);
  observer_.WorkerGone(found->second, exit);
  free_slots_.insert(found->second.slot);
  workers_.erase(found);
}

void WorkerPool::Arm(WorkerHandle& worker, double seconds) {
  worker.deadline.reset();
  if (seconds > 0) worker.deadline = clock_.Now() + FromSeconds(seconds);
}

int WorkerPool::FillGeneration() const {
  if (!next_generation_) return generation_;
  const bool only_the_new_serve = ReadyOf(*next_generation_) > 0 && ReadyOf(generation_) == 0;
  const bool new_ones = next_proven_ || generation_ == 0 || only_the_new_serve;
  return new_ones ? *next_generation_ : generation_;
}

bool WorkerPool::Staying(const WorkerHandle& worker) {
  return worker.state == WorkerState::kSpawning || worker.state == WorkerState::kBooting ||
         worker.state == WorkerState::kReady;
}

}  // namespace gunid
