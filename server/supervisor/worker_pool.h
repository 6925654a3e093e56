// Keeps the wanted number of healthy workers: the table of WorkerHandles, their deadlines, the
// back-off after failures, and the replacement of workers one by one. Supervisor's loop thread. It
// decides by worker_state and pool_plan and acts through Spawner; it knows no socket and no
// process, so its tests run without any.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "config/settings.h"
#include "ipc/spawn_protocol.h"
#include "supervisor/backoff.h"
#include "supervisor/worker_exit.h"
#include "supervisor/worker_state.h"

namespace gunid {

// A worker from the supervisor's side of the fork; `Worker` (worker/worker.h) is the code in it.
struct WorkerHandle {
  int id = 0;
  int slot = 0;  // of the scoreboard
  int generation = 0;
  int pid = 0;  // 0 until the zygote named it
  WorkerState state = WorkerState::kSpawning;
  bool surge = false;     // started beside a worker that is to be replaced
  bool expiring = false;  // serves until a replacement is ready
  // Over a limit of its own: it is expiring whatever becomes of a rollout.
  StopReason recycle = StopReason::kNone;
  bool accepting = true;                  // new connections may reach it
  StopReason reason = StopReason::kNone;  // why it goes or is to be replaced
  TimePoint created{};
  bool killed_stuck = false;          // it could not even drain
  std::optional<TimePoint> deadline;  // of the present state
  // When it is to be replaced because of max_worker_lifetime.
  std::optional<TimePoint> lifetime_end;
};

// For the program that takes the supervisor's place. All workers have a process.
struct PoolState {
  int wanted = 0;
  int generation = 0;
  int next_id = 1;
  std::vector<WorkerHandle> workers;
};

// Seam: how workers come to be and are told things. Never calls back into the pool from inside a
// call.
class Spawner {
 public:
  virtual ~Spawner() = default;
  // Whether workers of that generation can be forked at the moment (its zygote is up).
  [[nodiscard]] virtual bool CanFork(int generation) const = 0;
  // Answered by WorkerPool::Forked or ForkFailed.
  virtual void Fork(const WorkerHandle& worker) = 0;
  virtual void SendGo(const WorkerHandle& worker) = 0;
  virtual void SendSignal(const WorkerHandle& worker, int signal) = 0;
};

// Told of what happens to workers. It must not call the pool from inside a call.
class PoolObserver {
 public:
  virtual ~PoolObserver() = default;
  virtual void WorkerBecameReady(const WorkerHandle& worker) = 0;
  // It is over its boot deadline: call Hangs() when its stacks were dumped.
  virtual void WorkerHangs(const WorkerHandle& worker) = 0;
  // Could not be forked, died or gave up before it was ready, or was too slow.
  virtual void WorkerFailedToBoot(const WorkerHandle& worker, const BootFailure& failure) = 0;
  // Died while it was ready, and nobody had told it to, or of a signal while it drained: kCrash, kOom,
  // or kOperator, who killed it.
  // `exit` as DescribeExit.
  virtual void WorkerCrashed(const WorkerHandle& worker, const std::string& exit) = 0;
  // The process is gone and its slot is about to be free again: read its last counters now.
  // `exit` as DescribeExit, "" if there was no process.
  virtual void WorkerGone(const WorkerHandle& worker, const std::string& exit) = 0;
};

class WorkerPool {
 public:
  WorkerPool(const Clock& clock, Spawner& spawner, PoolObserver& observer, int slot_count);

  // While no rollout is under way and has_processes().
  [[nodiscard]] PoolState ToState() const;
  // Of a pool that has done nothing yet.
  void Adopt(const PoolState& state);

  // Policy.
  // boot_timeout, graceful_timeout; max_worker_lifetime of workers that become ready from now on;
  // reload_surge and reload_settle of the next rollout.
  void SetLimits(const Settings& settings);
  void SetWanted(int wanted);
  // Workers are forked from `generation` from now on, and those of other generations are replaced
  // by it. The first new worker is the canary: it is started whatever becomes of the old ones, and
  // until it has been ready for reload_settle seconds no old one goes, and gaps are still filled from
  // the old generation, if there is one that serves. `reason`: kReload, or kRollback to a generation
  // that has served before.
  void RollTo(int generation, StopReason reason = StopReason::kReload);
  // Goes back to the old generation. Workers of the other one that serve already are replaced by old
  // ones: all at once, but each serves until there is one in its place.
  void RollBack();
  // Replaces every worker by a fresh one of the same generation.
  void Restart();
  // Keeps those that Restart has not replaced yet.
  void CancelRestart();
  // It is over a limit: it serves until a replacement is ready. For kTimeout the reason counts also
  // where it goes anyway.
  void Recycle(int worker_id, StopReason reason);
  // It is ready, and so far over a limit that it goes now, whatever it does. It counts as a failure
  // for the back-off.
  void Expel(int worker_id, StopReason reason);
  // No workers are wanted any more. Quick: they are not given the time to finish their requests.
  void Shutdown(bool quick);

  // Events.
  void Forked(int worker_id, int pid);
  void ForkFailed(int worker_id, const BootFailure& failure);
  void Ready(int worker_id);
  void BootFailed(int worker_id, const BootFailure& failure);
  void AcceptingStopped(int worker_id);  // it drains, told by us or by somebody else
  void Stuck(int worker_id);             // it drains, and its event loop stands still
  // After PoolObserver::WorkerHangs: `stacks` are those it was hanging in, "" if nobody knows.
  void Hangs(int worker_id, const std::string& stacks);
  void Exited(int worker_id, const WorkerExit& exit);
  void Tick();  // deadlines have passed, or the spawner can fork again

  // When Tick() has something to do next; nullopt: never, as things are.
  [[nodiscard]] std::optional<TimePoint> NextTick() const;

  // State.
  [[nodiscard]] const std::map<int, WorkerHandle>& workers() const { return workers_; }
  [[nodiscard]] const WorkerHandle* Find(int worker_id) const;
  [[nodiscard]] const WorkerHandle* FindByPid(int pid) const;
  [[nodiscard]] int wanted() const { return wanted_; }
  [[nodiscard]] int generation() const { return generation_; }
  // A rollout is under way: not all workers that serve are of the generation that was asked for.
  [[nodiscard]] bool rolling() const { return next_generation_.has_value(); }
  // Serving workers: ready, and not told to go.
  [[nodiscard]] int ready_count() const;
  // No worker that Restart or the last rollout was to replace serves any more; as many as wanted do.
  [[nodiscard]] bool replaced() const;
  // Workers die again and again, or cannot be started; restarts wait for each other.
  [[nodiscard]] bool crash_looping() const { return backoff_.looping(clock_.Now()); }
  // When the next worker may be started, if one has to wait for that.
  [[nodiscard]] std::optional<TimePoint> next_start() const {
    return start_pending_ ? std::optional(backoff_.allowed_at()) : std::nullopt;
  }
  // Of the generation that is being rolled to, or of the serving one: ready workers.
  [[nodiscard]] int fresh_count() const;
  // As many workers as wanted serve, and no other is left: but for those that are being recycled,
  // and their replacements.
  [[nodiscard]] bool settled() const;
  [[nodiscard]] bool empty() const { return workers_.empty(); }
  // All workers have one: no fork is unanswered, and no answer unheard.
  [[nodiscard]] bool has_processes() const;

 private:
  void Apply(WorkerHandle& worker, WorkerEvent event, const BootFailure& failure = {});
  void Act(WorkerHandle& worker, WorkerAction action, const BootFailure& failure);
  void Retire(int worker_id, StopReason reason);
  void Expire(WorkerHandle& worker, StopReason reason);
  void Unexpire();
  // Compares what is with what is wanted and starts or retires workers.
  void Reconcile();
  [[nodiscard]] int SurgeLimit() const;
  void RecycleTheOld();
  void CanaryIsReady();
  void StartCanary();
  void Spawn(int generation, bool surge);
  void Remove(int worker_id, const std::string& exit);
  void Arm(WorkerHandle& worker, double seconds);
  [[nodiscard]] int FillGeneration() const;
  [[nodiscard]] int ReadyOf(int generation) const;
  [[nodiscard]] bool CanaryIsOut() const;
  [[nodiscard]] static bool Staying(const WorkerHandle& worker);

  const Clock& clock_;
  Spawner& spawner_;
  PoolObserver& observer_;

  double boot_timeout_s_ = 0;
  double graceful_timeout_s_ = 0;
  double lifetime_s_ = 0;
  int reload_surge_ = 1;
  double reload_settle_s_ = 0;
  int wanted_ = 0;
  int generation_ = 0;                  // of the last finished rollout; 0 before the first
  std::optional<int> next_generation_;  // being rolled to
  StopReason roll_reason_ = StopReason::kReload;  // of the workers that are replaced by it
  bool next_proven_ = false;                      // one of its workers has served for reload_settle
  std::optional<TimePoint> next_proven_at_;
  bool shutting_down_ = false;
  Backoff backoff_;
  bool start_pending_ = false;  // a worker is wanted and the back-off does not allow it yet

  std::map<int, WorkerHandle> workers_;  // by id, so oldest first
  std::set<int> free_slots_;
  int next_id_ = 1;
  // Of the workers that Restart or the last rollout has brought; 1: all may stay.
  int first_new_id_ = 1;
};

}  // namespace gunid
