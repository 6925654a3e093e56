// How the supervisor answers commands: what is known at once, and operations that are answered as
// jobs when AfterTurn() sees that they have come about.
#include <string>
#include <utility>

#include "supervisor/supervisor.h"

namespace gunid {

void Supervisor::Post(Command command, std::function<void(CommandResult)> done) {
  loop_.Post(
      [this, command, done = std::move(done)]() mutable { Execute(command, std::move(done)); });
}

void Supervisor::Execute(const Command& command, Jobs::Done done) {
  switch (command.id) {
    case CommandId::kStatus:
      return done(StatusDocument(Source()));
    case CommandId::kReady:
      return ExecuteReady(std::move(done));
    case CommandId::kCrashes:
      return done(ToResult(crashes_.Report()));
    case CommandId::kJob:
      return ExecuteJob(command.job, std::move(done));
    case CommandId::kStats:
      return WithMemory([this, done = std::move(done)] { done(StatsDocument(Source())); });
    case CommandId::kWorkers:
      return WithMemory([this, done = std::move(done)] { done(WorkersDocument(Source())); });
    case CommandId::kRequests:
      return done(RequestsDocument(Source()));
    case CommandId::kEvents:
      return ExecuteEvents(command.after, std::move(done));
    case CommandId::kStack:
      return ExecuteStack(command.worker, std::move(done));
    case CommandId::kCancel:
      return ExecuteCancel(command.request, std::move(done));
    case CommandId::kScale:
      return ExecuteScale(command, std::move(done));
    case CommandId::kReload:
      return ExecuteReload(command, std::move(done));
    case CommandId::kRollback:
      return ExecuteRollback(command, std::move(done));
    case CommandId::kRestart:
      return ExecuteRestart(command, std::move(done));
    case CommandId::kUpgrade:
      return ExecuteUpgrade(command, std::move(done));
    case CommandId::kStop:
      StartJob(command, std::move(done));
      if (!stopping_) Stop(false);
  }
}

void Supervisor::StartJob(const Command& command, Jobs::Done done) {
  if (command.wait) {
    jobs_.Add(command.id, std::move(done));
  } else {
    done(JobDocument(jobs_.Add(command.id, nullptr), "", clock_.Now(), 202));
  }
}

// Runs `answer` when the memory of all workers is known.
void Supervisor::WithMemory(std::function<void()> answer) {
  memory_.Sample(WorkerPids(), [this, answer = std::move(answer)](const MemorySamples& samples) {
    samples_ = &samples;
    answer();
    samples_ = nullptr;
  });
}

std::vector<int> Supervisor::WorkerPids() const {
  std::vector<int> pids;
  for (const auto& [id, worker] : pool_.workers()) {
    if (worker.pid > 0) pids.push_back(worker.pid);
  }
  return pids;
}

void Supervisor::ExecuteReady(Jobs::Done done) {
  if (stopping_) return done(ErrorResult(503, kBeingStopped));
  const int workers = pool_.ready_count();
  if (generations_.serving() == nullptr || workers == 0) {
    return done(ErrorResult(503, {"not_ready", "no worker is ready", ""}));
  }
  done(ToResult(ReadyReport{StateName(), workers}));
}

void Supervisor::ExecuteJob(int id, Jobs::Done done) {
  const Job* job = jobs_.Find(id);
  if (job == nullptr) {
    const std::string message = "there is no job " + std::to_string(id) + ", or not any more";
    return done(ErrorResult(404, {"no_such_job", message, ""}));
  }
  done(JobDocument(*job, Progress(), clock_.Now()));
}

void Supervisor::ExecuteScale(const Command& command, Jobs::Done done) {
  if (stopping_) return done(ErrorResult(503, kBeingStopped));
  SetScale(command.workers);
  StartJob(command, std::move(done));
}

void Supervisor::ExecuteReload(const Command& command, Jobs::Done done) {
  if (const auto refusal = RefusalToReplace()) return done(*refusal);
  StartJob(command, std::move(done));
  generations_.StartRollout();
}

void Supervisor::ExecuteRollback(const Command& command, Jobs::Done done) {
  if (const auto refusal = RefusalToReplace()) return done(*refusal);
  if (generations_.kept().empty()) {
    return done(ErrorResult(
        409, {"no_earlier_generation",
              "no earlier generation is kept: there was no reload, or keep_generations is 0", ""}));
  }
  StartJob(command, std::move(done));
  generations_.StartRollback();
}

void Supervisor::ExecuteRestart(const Command& command, Jobs::Done done) {
  if (const auto refusal = RefusalToReplace()) return done(*refusal);
  StartJob(command, std::move(done));
  pool_.Restart();
}

// Whoever asks cannot wait for it: connections do not outlive the program.
void Supervisor::ExecuteUpgrade(const Command& /*command*/, Jobs::Done done) {
  if (const auto refusal = RefusalToReplace()) return done(*refusal);
  done(JobDocument(jobs_.Add(CommandId::kUpgrade, nullptr), "", clock_.Now(), 202));
  StartUpgrade();
}

void Supervisor::ExecuteEvents(std::optional<std::uint64_t> after, Jobs::Done done) {
  if (!after) return done(ToResult(events_.All()));
  events_.After(*after, std::move(done));
}

// `worker` is its id, or its pid.
void Supervisor::ExecuteStack(int worker, Jobs::Done done) {
  const WorkerHandle* found = pool_.Find(worker);
  if (found == nullptr) found = pool_.FindByPid(worker);
  if (found == nullptr) {
    const std::string message = "there is no worker with the id or pid " + std::to_string(worker);
    return done(ErrorResult(404, {"no_such_worker", message, ""}));
  }
  const WorkerHandle asked = *found;
  spawner_.DumpStacks(asked.id, [this, asked, done = std::move(done)](const DumpedStacks& stacks) {
    done(StacksDocument(asked, stacks, scoreboard_));
  });
}

void Supervisor::ExecuteCancel(RequestId id, Jobs::Done done) {
  const TimePoint started = clock_.Now();
  guard_.Cancel(id, [this, id, started, done = std::move(done)](CancelOutcome outcome) {
    const std::string request = "request " + ToString(id);
    switch (outcome) {
      case CancelOutcome::kNoSuchRequest:
        return done(ErrorResult(404, {"no_such_request", "there is no " + request, ""}));
      case CancelOutcome::kEnded:
        return done(OperationDocument(Source(), "cancel", request + " has ended", started));
      case CancelOutcome::kNotEnded:
        const std::string message =
            request + " does not end; worker " + std::to_string(id.worker) + " is being replaced";
        return done(ErrorResult(500, {"not_ended", message, ""}));
    }
  });
}

// Why the workers cannot be replaced now.
std::optional<CommandResult> Supervisor::RefusalToReplace() const {
  if (stopping_) return ErrorResult(503, kBeingStopped);
  if (generations_.serving() == nullptr)
    return ErrorResult(503, {"starting", "the server is starting", ""});
  if (upgrade_ != UpgradePhase::kNone)
    return ErrorResult(409, {"busy", "an upgrade is under way", ""});
  const Rollout* rollout = generations_.rollout();
  const bool loads = rollout != nullptr && rollout->kind == RolloutKind::kLoad;
  const bool goes_back = rollout != nullptr && !loads;
  if (goes_back || jobs_.Running(CommandId::kRollback))
    return ErrorResult(409, {"busy", "a rollback is under way", ""});
  if (loads || jobs_.Running(CommandId::kReload))
    return ErrorResult(409, {"busy", "a reload is under way", ""});
  if (jobs_.Running(CommandId::kRestart))
    return ErrorResult(409, {"busy", "a restart is under way", ""});
  return std::nullopt;
}

void Supervisor::FinishJobs(CommandId id, const std::string& message) {
  jobs_.Finish(id, message, [&](const Job& job) {
    return OperationDocument(Source(), std::string(RowOf(id).name), message, job.started);
  });
}

}  // namespace gunid
