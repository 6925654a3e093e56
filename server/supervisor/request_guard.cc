#include "supervisor/request_guard.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <set>

#include "supervisor/stack_text.h"

namespace gunid {
namespace {

bool Serves(const WorkerHandle& worker) {
  return worker.state == WorkerState::kReady || worker.state == WorkerState::kDraining;
}

std::string NameOf(const RequestInFlight& request) {
  return request.text.empty() ? "a request" : request.text;
}

// "(request 3-17, thread 4711, client 127.0.0.1)"
std::string Particulars(const RequestStep& step) {
  const RequestInFlight& request = step.request;
  const std::string client = request.client.empty() ? "" : ", client " + request.client;
  return fmt::format("(request {}, thread {}{})", ToString(step.id), request.thread_id, client);
}

std::string ReportLine(const RequestStep& step, int pid) {
  const std::string name = NameOf(step.request);
  switch (step.kind) {
    case RequestStepKind::kReportSlow:
      return fmt::format("Slow request (pid:{}): {} has run for {:.1f} s {}", pid, name, step.age_s,
                         Particulars(step));
    case RequestStepKind::kReportCancelled:
      return fmt::format("Cancelled by an operator (pid:{}): {} has run for {:.1f} s {}", pid, name,
                         step.age_s, Particulars(step));
    case RequestStepKind::kReportOverdue:
    case RequestStepKind::kGiveUp:
      break;
  }
  return fmt::format("WORKER TIMEOUT (pid:{}): {} has run for {:.1f} s, timeout is {:g} s {}", pid,
                     name, step.age_s, step.threshold_s, Particulars(step));
}

std::string EventTypeOf(RequestStepKind kind) {
  if (kind == RequestStepKind::kReportSlow) return "request_slow";
  return kind == RequestStepKind::kReportCancelled ? "request_cancelled" : "request_timeout";
}

std::string NoStack(const std::string& why) {
  return "no Python stack: " + why;
}

// A stack, or why there is none.
std::string StackOf(const RequestStep& step, const std::vector<StackBlock>& blocks,
                    const DumpedStacks& stacks) {
  if (!stacks.missing.empty()) return NoStack(stacks.missing);
  const StackBlock* block = FindStack(blocks, step.id.serial, step.request.thread);
  return block != nullptr ? block->stack : NoStack("its thread has none");
}

}  // namespace

void RequestGuard::SetThresholds(const RequestThresholds& thresholds) {
  if (thresholds == thresholds_) return;
  thresholds_ = thresholds;
  LookLater();
}

void RequestGuard::Cancel(RequestId id, Cancelled done) {
  const WorkerHandle* worker = pool_.Find(id.worker);
  if (worker == nullptr || !Serves(*worker)) return done(CancelOutcome::kNoSuchRequest);
  const auto requests = scoreboard_.Requests(worker->slot);
  const auto found = std::ranges::find(requests, id.serial, &RequestInFlight::serial);
  if (found == requests.end()) return done(CancelOutcome::kNoSuchRequest);
  if (watch_.StateOf(id) == RequestState::kAbandoned) return done(CancelOutcome::kNotEnded);
  const TimePoint now = clock_.Now();
  if (watch_.Cancel(id, now)) {
    Report(id.worker,
           {{RequestStepKind::kReportCancelled, id, *found, Seconds(Since(found->start_ns, now))}});
  }
  cancellers_.push_back({id, std::move(done)});
  LookLater();
}

void RequestGuard::LookLater() {
  loop_.Cancel(timer_);
  timer_ = 0;
  // A worker that goes because of a request may have to be killed.
  const bool needed = thresholds_ != RequestThresholds() || !watch_.empty() ||
                      std::ranges::any_of(pool_.workers(), [](const auto& entry) {
                        return entry.second.reason == StopReason::kTimeout;
                      });
  if (!needed) return;
  timer_ = loop_.RunAfter(LookInterval(thresholds_, !cancellers_.empty()), [this] { Look(); });
}

void RequestGuard::Look() {
  const TimePoint now = clock_.Now();
  const auto requests = RequestsToLookAt(now);
  Act(watch_.Look(requests, thresholds_, now));
  AnswerCancellers([this](RequestId id) { return watch_.StateOf(id) == RequestState::kRunning; },
                   CancelOutcome::kEnded);
  KillStuckWorkers(requests, now);
  ReplaceSilentWorkers(now);
  LookLater();
}

std::vector<WatchedRequest> RequestGuard::RequestsToLookAt(TimePoint now) {
  std::vector<WatchedRequest> watched;
  const std::uint64_t before = LookBefore(thresholds_, now);
  for (const auto& [id, worker] : pool_.workers()) {
    if (!Serves(worker)) continue;
    const auto requests = watch_.known(id) ? scoreboard_.Requests(worker.slot)
                                           : scoreboard_.Requests(worker.slot, before);
    for (const RequestInFlight& request : requests) {
      if (request.serial != 0) watched.push_back({{id, request.serial}, request});
    }
  }
  return watched;
}

void RequestGuard::Act(std::vector<RequestStep> steps) {
  std::map<int, std::vector<RequestStep>> reports;  // one dump for all of a worker
  for (RequestStep& step : steps) {
    if (step.kind == RequestStepKind::kGiveUp) {
      GiveUp(step);
    } else {
      reports[step.id.worker].push_back(std::move(step));
    }
  }
  for (auto& [worker_id, of_worker] : reports) Report(worker_id, std::move(of_worker));
}

void RequestGuard::Report(int worker_id, std::vector<RequestStep> steps) {
  const int pid = pool_.Find(worker_id)->pid;
  spawner_.DumpStacks(worker_id,
                      [this, worker_id, pid, steps = std::move(steps)](const DumpedStacks& stacks) {
                        ReportWithStacks(worker_id, pid, steps, stacks);
                      });
}

// First it is said what hangs, and only then is it disturbed.
void RequestGuard::ReportWithStacks(int worker_id, int pid, const std::vector<RequestStep>& steps,
                                    const DumpedStacks& stacks) {
  const auto blocks = ParseStacks(stacks.text);
  std::set<std::uint64_t> in_flight;
  const WorkerHandle* worker = pool_.Find(worker_id);
  if (worker != nullptr && Serves(*worker)) {
    for (const RequestInFlight& request : scoreboard_.Requests(worker->slot)) {
      in_flight.insert(request.serial);
    }
  }
  for (const RequestStep& step : steps) {
    const bool runs = in_flight.contains(step.id.serial);
    const bool overdue = step.kind == RequestStepKind::kReportOverdue && runs;
    std::string line = ReportLine(step, pid);
    if (stacks.held_up) line += "; the stack is of what holds up the worker";
    if (!runs) line += "; it has ended meanwhile";
    const std::string stack = StackOf(step, blocks, stacks);
    spdlog::log(overdue ? spdlog::level::critical : spdlog::level::warn, "{}\n{}", line, stack);
    events_.Add({.type = EventTypeOf(step.kind),
                 .worker = worker_id,
                 .pid = pid,
                 .request = ToString(step.id),
                 .message = line,
                 .detail = stack});
    if (overdue) {
      ++statistics_.timeouts;
      watch_.Cancel(step.id, clock_.Now());
    }
    if (runs && step.kind != RequestStepKind::kReportSlow) {
      spawner_.Send(worker_id, CancelRequest{step.id.serial});
    }
  }
}

void RequestGuard::GiveUp(const RequestStep& step) {
  const int worker_id = step.id.worker;
  const int pid = pool_.Find(worker_id)->pid;
  const std::string message =
      fmt::format("Request {} ({}) does not end: worker {} (pid:{}) {}", ToString(step.id),
                  NameOf(step.request), worker_id, pid,
                  pool_.Find(worker_id)->state == WorkerState::kReady ? "is to be replaced"
                                                                      : "goes without it");
  spdlog::error("{}", message);
  events_.Add({.type = "request_abandoned",
               .worker = worker_id,
               .pid = pid,
               .request = ToString(step.id),
               .message = message});
  spawner_.Send(worker_id, AbandonRequest{step.id.serial});
  pool_.Recycle(worker_id, StopReason::kTimeout);
  AnswerCancellers([&step](RequestId id) { return id == step.id; }, CancelOutcome::kNotEnded);
}

// A worker that drains because of an abandoned request ends without it - if its event loop still
// goes round. If that stands still there is nothing to wait for.
void RequestGuard::KillStuckWorkers(const std::vector<WatchedRequest>& requests, TimePoint now) {
  std::vector<int> stuck;
  for (const auto& [id, worker] : pool_.workers()) {
    if (Stuck(worker, requests, now)) stuck.push_back(id);
  }
  for (const int id : stuck) {
    spdlog::error("Worker {} (pid:{}) is stuck: it is killed", id, pool_.Find(id)->pid);
    pool_.Stuck(id);
  }
}

// A greenlet that serves no request holds up all the others, for example; or the process was stopped.
void RequestGuard::ReplaceSilentWorkers(TimePoint now) {
  if (thresholds_.timeout_s <= 0) return;
  const Nanoseconds limit = std::max(FromSeconds(thresholds_.timeout_s), kUnwindGrace);
  std::vector<int> silent;
  for (const auto& [id, worker] : pool_.workers()) {
    const bool replaced = worker.expiring && worker.reason == StopReason::kTimeout;
    if (worker.state != WorkerState::kReady || replaced || watch_.known(id)) continue;
    if (SilenceOf(worker, now) > limit) silent.push_back(id);
  }
  for (const int id : silent) {
    if (!silent_.insert(id).second) continue;
    spawner_.DumpStacks(id,
                        [this, id](const DumpedStacks& stacks) { ReplaceIfSilent(id, stacks); });
  }
}

void RequestGuard::ReplaceIfSilent(int worker_id, const DumpedStacks& stacks) {
  silent_.erase(worker_id);
  const WorkerHandle* worker = pool_.Find(worker_id);
  if (worker == nullptr || worker->state != WorkerState::kReady) return;
  const Nanoseconds silence = SilenceOf(*worker, clock_.Now());
  if (silence <= kUnwindGrace) return;  // it was about to go on
  const int pid = worker->pid;
  const std::string line = fmt::format(
      "WORKER TIMEOUT (pid:{}): worker {} has not looked for requests for {:.1f} s; it is to be "
      "replaced",
      pid, worker_id, Seconds(silence));
  const std::string text = stacks.missing.empty() ? stacks.text : NoStack(stacks.missing);
  spdlog::critical("{}\n{}", line, text);
  events_.Add(
      {.type = "worker_timeout", .worker = worker_id, .pid = pid, .message = line, .detail = text});
  ++statistics_.timeouts;
  pool_.Recycle(worker_id, StopReason::kTimeout);
}

Nanoseconds RequestGuard::SilenceOf(const WorkerHandle& worker, TimePoint now) {
  return Since(scoreboard_.Heartbeat(worker.slot), now);
}

bool RequestGuard::Stuck(const WorkerHandle& worker, const std::vector<WatchedRequest>& requests,
                         TimePoint now) {
  if (worker.state != WorkerState::kDraining || worker.reason != StopReason::kTimeout) return false;
  if (SilenceOf(worker, now) <= kUnwindGrace) return false;
  // The request may have ended after all, and it is another that a sync worker waits for.
  const bool serves_another =
      scoreboard_.InFlight(worker.slot) > 0 &&
      std::ranges::none_of(requests, [&](const WatchedRequest& watched) {
        return watched.id.worker == worker.id && StateOf(watched.id) == RequestState::kAbandoned;
      });
  return !serves_another;
}

void RequestGuard::AnswerCancellers(const std::function<bool(RequestId)>& which,
                                    CancelOutcome outcome) {
  const auto answered =
      std::stable_partition(cancellers_.begin(), cancellers_.end(),
                            [&](const Canceller& canceller) { return !which(canceller.id); });
  const std::vector<Canceller> ended(std::make_move_iterator(answered),
                                     std::make_move_iterator(cancellers_.end()));
  cancellers_.erase(answered, cancellers_.end());
  for (const Canceller& canceller : ended) canceller.done(outcome);
}

}  // namespace gunid
