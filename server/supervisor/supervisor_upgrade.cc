// How the supervisor is replaced by another program, and how it takes the place of one
// (supervisor/upgrade.h).
#include <spdlog/spdlog.h>

#include <chrono>
#include <csignal>
#include <utility>

#include "gunid/version.h"
#include "supervisor/supervisor.h"

namespace gunid {
namespace {

// That a supervisor waits to be idle: a zygote that does not fork is given up sooner.
constexpr auto kLeavingTime = std::chrono::seconds(30);

std::vector<int> SignalsIn(const sigset_t& mask) {
  std::vector<int> signals;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    if (sigismember(&mask, signal) == 1) signals.push_back(signal);
  }
  return signals;
}

}  // namespace

void Supervisor::UpgradeOnSignal() {
  if (const auto refusal = RefusalToReplace()) {
    return spdlog::warn("SIGUSR2 is ignored: the server is {}", StateName());
  }
  jobs_.Add(CommandId::kUpgrade, nullptr);
  StartUpgrade();
}

void Supervisor::StepUpgrade(UpgradeEvent event) {
  upgrade_ = NextUpgradePhase(upgrade_, event);
}

void Supervisor::StartUpgrade() {
  StepUpgrade(UpgradeEvent::kAsked);
  if (!generations_.idle()) {
    return UpgradeFailed({"busy", "the zygote is being replaced: try again", ""});
  }
  spdlog::info("Upgrading to the program {}", options_.program.path());
  StartRehearsal();
}

void Supervisor::StartRehearsal() {
  errors_.Stop();  // its thread closes pipes that end, and the child gets all that are open now
  rehearsal_.Start(Next(), ToState(),
                   [this](const Rehearsal::Outcome& outcome) { Rehearsed(outcome); });
  errors_.Start();
}

void Supervisor::Rehearsed(const Rehearsal::Outcome& outcome) {
  if (outcome.version.empty() && returning_) {
    ErrorReport error = *returning_;
    error.message +=
        "; gunid " + previous_->version + " does not come back: " + outcome.error.message;
    previous_.reset();
    return UpgradeFailed(error);
  }
  if (outcome.version.empty()) return UpgradeFailed(outcome.error);
  spdlog::info("gunid {} can take over from {}", outcome.version, GUNID_VERSION);
  StepUpgrade(UpgradeEvent::kPassed);
  leaving_timer_ = loop_.RunAfter(kLeavingTime, [this] {
    UpgradeFailed({"busy", "workers or the zygote cannot be started: try again", ""});
  });
}

void Supervisor::UpgradeFailed(const ErrorReport& error) {
  loop_.Cancel(std::exchange(leaving_timer_, 0));
  StepUpgrade(UpgradeEvent::kRefused);
  returning_.reset();
  facts_.last_error = error.message;
  spdlog::error("Upgrade failed: {}{}{}", error.message, error.detail.empty() ? "" : "\n",
                error.detail);
  events_.Add({.type = "upgrade_failed", .message = error.message, .detail = error.detail});
  jobs_.Fail(CommandId::kUpgrade, 500, error);
}

void Supervisor::UpgradeServes() {
  StepUpgrade(UpgradeEvent::kServes);
  const std::string message = fmt::format(
      "gunid {} has taken over from {}: generation {} serves, {}", GUNID_VERSION,
      previous_->version, generations_.serving()->number, WorkersAreReady(pool_.ready_count()));
  previous_.reset();
  spdlog::info("{}", message);
  events_.Add({.type = "upgraded", .message = message});
  FinishJobs(CommandId::kUpgrade, message);
}

// After each turn of the loop.
void Supervisor::LeaveIfIdle() {
  if (!generations_.idle() || !pool_.has_processes()) return;
  if (upgrade_ == UpgradePhase::kProving && returning_) {
    StepUpgrade(UpgradeEvent::kFailed);
    spdlog::error("Upgrade failed, gunid {} comes back: {}", previous_->version,
                  returning_->message);
    StartRehearsal();
  } else if (upgrade_ == UpgradePhase::kLeaving) {
    Leave();
  }
}

void Supervisor::Leave() {
  events_.AnswerWaiters();
  jobs_.AnswerWaiters(ErrorResult(503, kBeingUpgraded));
  options_.control.pause();
  errors_.Stop();
  const Error error = Become(Next(), ToState());
  errors_.Start();
  if (Status resumed = options_.control.resume(); !resumed)
    spdlog::error("Control socket: {}", resumed.error().message);
  UpgradeFailed({"upgrade_failed", error.message, ""});
}

// The one that is installed, or the one that has to come back.
NextProgram Supervisor::Next() const {
  const bool back = returning_.has_value();
  return {.path = back ? previous_->program.PathToRun() : options_.program.path(),
          .arguments = options_.arguments,
          .environment = notifier_.environment()};
}

ServerState Supervisor::ToState() const {
  ServerState state;
  state.leaving = {.version = GUNID_VERSION,
                   .path = options_.program.path(),
                   .fd = options_.program.fd(),
                   .worker_path = zygotes_.program().file.path(),
                   .worker_fd = zygotes_.program().file.fd()};
  if (returning_) {
    // What the program that comes back was started from.
    state.returning = returning_;
    state.leaving = {.version = previous_->version,
                     .path = previous_->program.path(),
                     .fd = previous_->program.fd(),
                     .worker_path = previous_->worker.path(),
                     .worker_fd = previous_->worker.fd()};
  }
  state.directory = zygotes_.program().directory;
  state.blocked_signals = SignalsIn(zygotes_.program().signal_mask);
  state.inherited_sockets = options_.inherited.numbers();
  state.activated_sockets = options_.inherited.activated();
  state.scoreboard_fd = scoreboard_.fd();
  state.handover_sending_fd = handover_.sending_fd();
  state.handover_receiving_fd = handover_.receiving_fd();
  state.control = options_.control.state();
  state.generations = generations_.ToState();
  state.pool = pool_.ToState();
  state.channels = spawner_.ToState();
  state.errors = errors_.ToState();
  state.pid_file = pid_file_.path();
  state.started_ns = facts_.started.time_since_epoch().count();
  state.started_at = facts_.started_at;
  state.last_error = facts_.last_error;
  state.scaled = scaled_.value_or(0);
  state.reload_wanted = reload_wanted_;
  state.statistics = statistics_;
  state.jobs = jobs_.ToState();
  state.events = events_.All();
  state.crashes = crashes_.Report();
  state.watched_files.assign(files_.files().begin(), files_.files().end());
  return state;
}

Status Supervisor::TakeOver() {
  const ServerState& state = *options_.state;
  facts_.started = TimePoint(Nanoseconds(state.started_ns));
  facts_.started_at = state.started_at;
  facts_.last_error = state.last_error;
  SetControlSocket(state.control.path);
  statistics_ = state.statistics;
  jobs_.Adopt(state.jobs);
  events_.Adopt(state.events);
  crashes_.Adopt(state.crashes);
  if (state.scaled > 0) scaled_ = state.scaled;
  reload_wanted_ = state.reload_wanted;
  pool_.Adopt(state.pool);
  spawner_.Adopt(state.channels);
  errors_.Adopt(state.errors);
  if (Status adopted = generations_.Adopt(state.generations); !adopted) return adopted;
  const Settings& settings = generations_.settings();
  guard_.SetThresholds({settings.slow_request, settings.timeout});
  files_.Configure(settings);
  files_.AddFiles(state.watched_files);
  LimitMemory();
  pid_file_.Adopt(state.pid_file);
  if (!state.returning) {
    previous_ = {state.leaving.version, ProgramFile(state.leaving.path, UniqueFd(state.leaving.fd)),
                 ProgramFile(state.leaving.worker_path, UniqueFd(state.leaving.worker_fd))};
    StepUpgrade(UpgradeEvent::kTakenOver);
  }
  ::close(state.scoreboard_fd);
  return {};
}

}  // namespace gunid
