// Enforces what request_watch.h decides: looks at the requests of all workers from time to time,
// reports the slow and the overdue ones with the Python stack of the very thread, cancels them, and
// has the worker replaced where that does not help. Supervisor's loop thread.
#pragma once

#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "ipc/scoreboard.h"
#include "supervisor/event_log.h"
#include "supervisor/request_watch.h"
#include "supervisor/statistics.h"
#include "supervisor/worker_pool.h"
#include "supervisor/worker_spawner.h"

namespace gunid {

// What became of a request that an operator has cancelled.
enum class CancelOutcome : std::uint8_t { kNoSuchRequest, kEnded, kNotEnded };

class RequestGuard {
 public:
  using Cancelled = std::function<void(CancelOutcome)>;

  RequestGuard(EventLoop& loop, const Clock& clock, WorkerPool& pool, WorkerSpawner& spawner,
               Scoreboard& scoreboard, EventLog& events, Statistics& statistics)
      : loop_(loop),
        clock_(clock),
        pool_(pool),
        spawner_(spawner),
        scoreboard_(scoreboard),
        events_(events),
        statistics_(statistics) {}

  // Of the serving generation.
  void SetThresholds(const RequestThresholds& thresholds);
  // `done` is called once, when the request has ended or was given up.
  void Cancel(RequestId id, Cancelled done);
  // Also called when the last worker is gone: what was cancelled has ended then.
  void Look();

  [[nodiscard]] RequestState StateOf(RequestId id) const { return watch_.StateOf(id); }

 private:
  struct Canceller {
    RequestId id;
    Cancelled done;
  };

  void LookLater();
  std::vector<WatchedRequest> RequestsToLookAt(TimePoint now);
  void Act(std::vector<RequestStep> steps);
  void Report(int worker_id, std::vector<RequestStep> steps);
  void ReportWithStacks(int worker_id, int pid, const std::vector<RequestStep>& steps,
                        const DumpedStacks& stacks);
  void GiveUp(const RequestStep& step);
  void ReplaceSilentWorkers(TimePoint now);
  void ReplaceIfSilent(int worker_id, const DumpedStacks& stacks);
  // How long its event loop has stood still; 0 before its first turn.
  [[nodiscard]] Nanoseconds SilenceOf(const WorkerHandle& worker, TimePoint now);
  void KillStuckWorkers(const std::vector<WatchedRequest>& requests, TimePoint now);
  [[nodiscard]] bool Stuck(const WorkerHandle& worker, const std::vector<WatchedRequest>& requests,
                           TimePoint now);
  void AnswerCancellers(const std::function<bool(RequestId)>& which, CancelOutcome outcome);

  EventLoop& loop_;
  const Clock& clock_;
  WorkerPool& pool_;
  WorkerSpawner& spawner_;
  Scoreboard& scoreboard_;
  EventLog& events_;
  Statistics& statistics_;

  RequestThresholds thresholds_;
  RequestWatch watch_;
  std::vector<Canceller> cancellers_;
  std::set<int> silent_;  // workers whose stacks are being dumped for that
  EventLoop::TimerId timer_ = 0;
};

}  // namespace gunid
