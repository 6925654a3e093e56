#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <variant>

#include "base/child_process.h"
#include "base/log.h"
#include "gunid/exit_codes.h"
#include "gunid/version.h"

namespace gunid {
namespace {

// Slots for the largest number of workers, the replacements beside them, and retired ones that
// still finish their requests.
constexpr int kSlots = 2 * kMaxWorkers;
constexpr auto kMemoryPeriod = std::chrono::seconds(1);

// As Gunicorn writes them: "hup", "term".
std::string LowerCaseName(int signal) {
  std::string name = SignalName(signal).substr(3);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return name;
}

std::string NameOf(const WorkerHandle& worker) {
  return fmt::format("Worker {} (pid:{})", worker.id, worker.pid);
}

// $PWD where it is true: it keeps the symbolic link that a deploy switches to the next release.
std::string StartDirectory() {
  std::error_code error;
  const char* named = std::getenv("PWD");
  if (named != nullptr && std::filesystem::equivalent(named, ".", error) && !error) return named;
  return std::filesystem::current_path(error).string();
}

// Of the program before this one, and a copy: if it cannot be read, that one needs it again.
Result<Scoreboard> AttachScoreboard(const ServerState& state) {
  UniqueFd copy(fcntl(state.scoreboard_fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return Errno("scoreboard of the running program");
  return Scoreboard::Attach(std::move(copy));
}

Result<Handover> AdoptHandover(const ServerState& state) {
  return Handover(UniqueFd(state.handover_sending_fd), UniqueFd(state.handover_receiving_fd));
}

// Of the supervisor when it was started; children get it back.
sigset_t SignalMask(const SignalSource& signals, const std::optional<ServerState>& state) {
  if (!state) return signals.original_mask();
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : state->blocked_signals) sigaddset(&mask, signal);
  return mask;
}

// Of the children of a daemon, which outlive the terminal that it was started from.
std::vector<std::pair<int, int>> Streams(const std::optional<Background>& background,
                                         const UniqueFd& null) {
  std::vector<std::pair<int, int>> streams;
  if (!background) return streams;
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (DaemonKeeps(stream, background->keep_output)) continue;
    streams.emplace_back(null.get(), stream);
  }
  return streams;
}

// Workers keep a terminal: for developers it matters that it is one.
bool OnTerminal() {
  return isatty(STDERR_FILENO) == 1;
}

}  // namespace

Result<std::unique_ptr<Supervisor>> Supervisor::Create(SupervisorOptions options) {
  const auto& state = options.state;
  auto scoreboard = state ? AttachScoreboard(*state) : Scoreboard::Create(kSlots);
  if (!scoreboard) return scoreboard.error();
  auto handover = state ? AdoptHandover(*state) : Handover::Create();
  if (!handover) return handover.error();
  // Workers are forked by a process that exits at once, and so become children of the nearest
  // subreaper.
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return Errno("prctl(PR_SET_CHILD_SUBREAPER)");
  return std::unique_ptr<Supervisor>(
      new Supervisor(std::move(options), std::move(*scoreboard), std::move(*handover)));
}

Supervisor::Supervisor(SupervisorOptions options, Scoreboard scoreboard, Handover handover)
    : options_(std::move(options)),
      null_(options_.background ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1),
      signals_(
          loop_,
          {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD},
          [this](int signal) { OnSignal(signal); }),
      reaper_(loop_),
      stacks_(loop_),
      scoreboard_(std::move(scoreboard)),
      handover_(std::move(handover)),
      errors_(STDERR_FILENO),
      zygotes_(loop_, reaper_, stacks_,
               {.file = std::move(options_.worker_program),
                .directory = options_.state ? options_.state->directory : StartDirectory(),
                .layers = options_.layers,
                .signal_mask = SignalMask(signals_, options_.state),
                .scoreboard_fd = scoreboard_.fd(),
                .handover_sending_fd = handover_.sending_fd(),
                .handover_receiving_fd = handover_.receiving_fd(),
                .streams = Streams(options_.background, null_)}),
      spawner_(loop_, reaper_, stacks_, options_.background || !OnTerminal() ? &errors_ : nullptr,
               {.forked =
                    [this](int id, int pid) {
                      ++statistics_.workers_spawned;
                      pool_.Forked(id, pid);
                    },
                .fork_failed =
                    [this](int id, const BootFailure& failure) { pool_.ForkFailed(id, failure); },
                .message = [this](int id, const Message& message) { OnWorkerMessage(id, message); },
                .exited = [this](int id, const WorkerExit& exit) { pool_.Exited(id, exit); }}),
      pool_(clock_, spawner_, *this, scoreboard_.slot_count()),
      generations_(loop_, zygotes_, spawner_, pool_,
                   {.directory = zygotes_.program().directory,
                    .layers = options_.layers,
                    .inherited = options_.inherited},
                   *this),
      guard_(loop_, clock_, pool_, spawner_, scoreboard_, events_, statistics_),
      memory_(loop_, clock_),
      files_(loop_, [this](const std::string& path) { OnFileChanged(path); }),
      rehearsal_(loop_, reaper_),
      notifier_(loop_) {
  if (options_.background) notifier_.TellPid();
  facts_.started = clock_.Now();
  facts_.started_at = std::time(nullptr);
}

Supervisor::~Supervisor() = default;

int Supervisor::Run() {
  // What exec has left pending, or unseen.
  if (options_.state) reaper_.Reap();
  if (options_.state && options_.state->returning) UpgradeFailed(*options_.state->returning);
  errors_.Start();
  if (generations_.serving() == nullptr || upgrade_ == UpgradePhase::kProving)
    generations_.StartRollout();
  if (options_.state) pool_.Tick();
  while (!loop_.stopped()) {
    AfterTurn();
    ReportService();
    if (!loop_.stopped()) loop_.RunOnce();
  }
  errors_.Stop();  // the workers' last words come first
  if (generations_.serving() != nullptr) spdlog::info("Shutting down");
  return exit_code_;
}

// Signals

void Supervisor::OnSignal(int signal) {
  if (signal == SIGCHLD) return reaper_.Reap();
  spdlog::info("Handling signal: {}", LowerCaseName(signal));
  switch (signal) {
    case SIGHUP:
      return Reload();
    case SIGTERM:
      return Stop(stopping_);  // the second time it is meant
    case SIGINT:
    case SIGQUIT:
      return Stop(true);
    case SIGTTIN:
      return ScaleBy(1);
    case SIGTTOU:
      return ScaleBy(-1);
    case SIGUSR1:
      return ReopenLogs();
    case SIGUSR2:
      return UpgradeOnSignal();
    default:
      spdlog::warn("Signal {} does nothing in this version", LowerCaseName(signal));
  }
}

void Supervisor::ScaleBy(int difference) {
  if (stopping_ || pool_.wanted() == 0) return;
  SetScale(std::clamp(pool_.wanted() + difference, kMinWorkers, kMaxWorkers));
}

void Supervisor::SetScale(int workers) {
  if (workers != pool_.wanted()) {
    const std::string message =
        fmt::format("Scaling from {} to {} workers", pool_.wanted(), workers);
    spdlog::info("{}", message);
    events_.Add({.type = "scaled", .message = message});
    jobs_.Fail(CommandId::kScale, 409, {"superseded", "another scale came in between", ""});
  }
  scaled_ = workers;
  pool_.SetWanted(workers);
}

// One replacement of the workers at a time: a reload that comes during another waits for its end.
void Supervisor::Reload() {
  reload_wanted_ = true;
}

void Supervisor::Stop(bool quick) {
  if (!std::exchange(stopping_, true)) {
    events_.Add({.type = "stopping", .message = "The server is being stopped"});
    ReportService();
  }
  rehearsal_.Cancel();
  loop_.Cancel(std::exchange(leaving_timer_, 0));
  for (const CommandRow& row : kCommands) {
    if (row.job) jobs_.Fail(row.id, 503, kBeingStopped);
  }
  handover_.Close();  // before the workers drain: it tells them that there are no others
  generations_.StopListening(quick);
  pool_.Shutdown(quick);
  generations_.Stop();
}

void Supervisor::ReopenLogs() {
  for (const Status& reopened : {ReopenLog(), generations_.RemakeAccessLog()}) {
    if (!reopened) spdlog::error("{}", reopened.error().message);
  }
  for (const auto& [id, worker] : pool_.workers()) spawner_.SendSignal(worker, SIGUSR1);
}

// What the generations report

bool Supervisor::StartsAnew(const Settings& settings) {
  if (!settings.daemon || options_.background) return false;
  background_wanted_ = {.daemon = nullptr, .keep_output = settings.enable_stdio_inheritance};
  Stop(true);
  return true;
}

// What is done once, when the first settings are known.
Status Supervisor::FirstSettingsLoaded(const Settings& settings) {
  spdlog::info("Starting gunid {}", GUNID_VERSION);
  if (!settings.pidfile.empty()) {
    if (Status written = pid_file_.Write(settings.pidfile); !written) return written;
  }
  auto path = options_.control.open(settings);
  if (!path) return path.error();
  SetControlSocket(*path);
  spdlog::info("Control socket: {}", *path);
  const bool lost = options_.background && !options_.background->keep_output;
  if (lost && settings.errorlog == "-") {
    spdlog::warn("A daemon's standard error is /dev/null: set errorlog to a file to keep the log");
  }
  if (lost && settings.accesslog == "-") {
    spdlog::warn(
        "A daemon's standard output is /dev/null: set accesslog to a file to keep the log");
  }
  spdlog::info("Using worker: {}", settings.worker_kind());
  pool_.SetWanted(static_cast<int>(settings.workers));
  guard_.SetThresholds({settings.slow_request, settings.timeout});
  files_.Configure(settings);
  return {};
}

void Supervisor::ServesInBackground() {
  const Background background = *std::exchange(options_.background, std::nullopt);
  background.daemon->Serves(background.keep_output);
  const Settings& settings = generations_.settings();
  if (settings.errorlog != "-") return;
  if (Status opened = OpenLog(settings.errorlog, settings.loglevel); !opened)
    spdlog::error("{}", opened.error().message);
}

void Supervisor::SetControlSocket(const std::string& path) {
  facts_.control_socket = path;
  facts_.name = std::filesystem::path(path).stem().string();
}

void Supervisor::ConfigurationChecked() {
  Stop(true);
}

void Supervisor::GenerationServes() {
  const Settings& settings = generations_.serving()->settings;
  pool_.SetWanted(scaled_.value_or(static_cast<int>(settings.workers)));
  guard_.SetThresholds({settings.slow_request, settings.timeout});
  files_.Configure(settings);
  LimitMemory();
}

void Supervisor::RolloutFailed(RolloutKind kind, const BootFailure& failure) {
  facts_.last_error = failure.message;
  files_.AddFiles(FilesInTraceback(failure.traceback));
  if (generations_.serving() == nullptr) {
    exit_code_ = failure.exit_code;
    stopping_ = true;
    pool_.Shutdown(true);
  } else {
    if (upgrade_ == UpgradePhase::kProving && kind == RolloutKind::kLoad) {
      returning_ = {"upgrade_failed", failure.message, failure.traceback};
      return;
    }
    const bool reload = kind == RolloutKind::kLoad;
    const std::string what = reload ? "reload_failed" : "rollback_failed";
    if (reload) ++statistics_.reloads_failed;
    events_.Add({.type = what, .message = failure.message, .detail = failure.traceback});
    jobs_.Fail(reload ? CommandId::kReload : CommandId::kRollback, 500,
               {what, failure.message, failure.traceback});
    if (reload) reload_trouble_ = "reload failed: " + failure.message;
  }
}

void Supervisor::RolloutFinished(RolloutKind kind) {
  const Generation& serving = *generations_.serving();
  // What a failed reload has left behind is said until something succeeds.
  if (kind != RolloutKind::kReturn) {
    facts_.last_error.clear();
    reload_trouble_.clear();
  }
  const std::string message =
      fmt::format("Generation {} serves: {}", serving.number, WorkersAreReady(pool_.ready_count()));
  spdlog::info("{}", message);
  if (options_.background) ServesInBackground();
  if (upgrade_ == UpgradePhase::kProving) {
    if (kind == RolloutKind::kLoad) UpgradeServes();
  } else if (kind != RolloutKind::kLoad) {
    events_.Add({.type = "rolled_back", .message = message});
  } else if (serving.number > 1) {
    ++statistics_.reloads;
    events_.Add({.type = "reloaded", .message = message});
  }
}

void Supervisor::ZygoteLost(const BootFailure& failure) {
  facts_.last_error = failure.message;
  events_.Add({.type = "boot_failed", .message = failure.message, .detail = failure.traceback});
  FailJobs(failure);
}

void Supervisor::FilesWereLoaded(const FilesLoaded& loaded) {
  files_.AddFiles(loaded.files);
}

void Supervisor::OnFileChanged(const std::string& path) {
  if (stopping_) return;
  spdlog::info("File changed: {}; reloading", path);
  Reload();
}

// Workers

void Supervisor::OnWorkerMessage(int worker_id, const Message& message) {
  if (std::holds_alternative<WorkerReady>(message)) {
    pool_.Ready(worker_id);
  } else if (const auto* failure = std::get_if<BootFailure>(&message)) {
    pool_.BootFailed(worker_id, *failure);
  } else if (std::holds_alternative<AcceptingStopped>(message)) {
    pool_.AcceptingStopped(worker_id);
  } else if (const auto* wanted = std::get_if<RecycleWanted>(&message)) {
    spdlog::info("Worker {} is to be replaced; reason: {}", worker_id, wanted->reason);
    pool_.Recycle(worker_id, StopReason::kMaxRequests);
  } else if (const auto* loaded = std::get_if<FilesLoaded>(&message)) {
    FilesWereLoaded(*loaded);
  }
}

void Supervisor::WorkerBecameReady(const WorkerHandle& worker) {
  worker_trouble_.clear();
  const std::string message = NameOf(worker) + " is ready";
  spdlog::debug("{}", message);
  events_.Add({.type = "worker_ready", .worker = worker.id, .pid = worker.pid, .message = message});
}

void Supervisor::WorkerHangs(const WorkerHandle& worker) {
  spawner_.DumpStacks(worker.id, [this, id = worker.id](const DumpedStacks& stacks) {
    pool_.Hangs(id, stacks.text);
  });
}

void Supervisor::WorkerFailedToBoot(const WorkerHandle& worker, const BootFailure& failure) {
  if (!stopping_) {
    events_.Add({.type = "boot_failed",
                 .worker = worker.id,
                 .pid = worker.pid,
                 .message = failure.message,
                 .detail = failure.traceback});
  }
  KeepCrash(worker, failure.message, failure.traceback);
  loop_.Post(
      [this, generation = worker.generation, failure] { OnBootFailure(generation, failure); });
}

void Supervisor::OnBootFailure(int generation, const BootFailure& failure) {
  if (stopping_) return;
  if (generations_.Fail(generation, failure)) return;
  LogBootFailure("Worker failed to boot", failure);
  worker_trouble_ = "worker failed to boot: " + failure.message;
  facts_.last_error = failure.message;
  FailJobs(failure);
}

// Those that wait for new workers of the serving generation. What is wanted stays, and is tried again.
void Supervisor::FailJobs(const BootFailure& failure) {
  const ErrorReport error{"boot_failed", failure.message, failure.traceback};
  jobs_.Fail(CommandId::kScale, 500, error);
  if (!generations_.rolling_out()) {
    // It serves, and wants more workers than the one before.
    jobs_.Fail(CommandId::kReload, 500, error);
    jobs_.Fail(CommandId::kRollback, 500, error);
  }
  if (jobs_.Running(CommandId::kRestart)) {
    pool_.CancelRestart();
    jobs_.Fail(CommandId::kRestart, 500, error);
  }
}

void Supervisor::WorkerCrashed(const WorkerHandle& worker, const std::string& exit) {
  ++statistics_.workers_crashed;
  KeepCrash(worker, exit, "");
  if (generations_.serving() == nullptr || !generations_.rolling_out()) return;
  if (worker.reason == StopReason::kOperator) return;
  const std::string message =
      "worker " + std::to_string(worker.id) + " (pid:" + std::to_string(worker.pid) + ") " + exit;
  loop_.Post([this, generation = worker.generation, message] {
    generations_.Fail(generation, {exit_code::kBootError, message, ""});
  });
}

void Supervisor::KeepCrash(const WorkerHandle& worker, const std::string& message,
                           const std::string& detail) {
  if (stopping_) return;
  crashes_.Add({.worker = worker.id,
                .pid = worker.pid,
                .generation = worker.generation,
                .reason = std::string(StopReasonName(worker.reason)),
                .message = message,
                .detail = detail,
                .requests = RequestsOf(worker, Source()),
                .stderr_tail = LastWords(worker)});
}

// Of a worker whose log is elsewhere they are said there, too.
std::string Supervisor::LastWords(const WorkerHandle& worker) {
  std::string words = errors_.Tail(worker.id);
  if (!words.empty() && generations_.settings().errorlog != "-") {
    spdlog::error("{} wrote to its standard error at last:\n{}", NameOf(worker), words);
  }
  return words;
}

void Supervisor::WorkerGone(const WorkerHandle& worker, const std::string& exit) {
  if (worker.killed_stuck) KeepCrash(worker, exit, "");
  if (!exit.empty()) {
    events_.Add({.type = "worker_exited",
                 .worker = worker.id,
                 .pid = worker.pid,
                 .message = fmt::format("{} {}; reason: {}", NameOf(worker), exit,
                                        StopReasonName(worker.reason))});
  }
  ++statistics_.workers_exited;
  ++statistics_.stops[std::string(StopReasonName(worker.reason))];
  statistics_.of_gone_workers += scoreboard_.Counters(worker.slot);
  scoreboard_.Clear(worker.slot);
  spawner_.Forget(worker.id);
  memory_watch_.Forget(worker.id);
}

// Memory

void Supervisor::LimitMemory() {
  loop_.Cancel(std::exchange(memory_timer_, 0));
  if (generations_.settings().max_worker_memory <= 0) return;
  memory_timer_ = loop_.RunAfter(kMemoryPeriod, [this] {
    memory_.Sample(WorkerPids(), [this](const MemorySamples& samples) {
      if (std::exchange(judged_round_, memory_.rounds()) != judged_round_) OnMemory(samples);
      LimitMemory();
    });
  });
}

// While generations change, what a worker shares with others changes, and says nothing of what it
// has grown by. One is expelled at a time, so that the others serve.
void Supervisor::OnMemory(const MemorySamples& samples) {
  const auto limit = static_cast<std::uint64_t>(generations_.settings().max_worker_memory);
  if (limit == 0 || stopping_ || generations_.rolling_out()) return;
  struct Step {
    WorkerHandle worker;
    MemoryWatch::Verdict verdict;
    std::uint64_t bytes;
  };
  std::vector<Step> steps;
  bool expels = false;
  for (const auto& [id, worker] : pool_.workers()) {
    const auto sample = samples.find(worker.pid);
    const bool judged =
        worker.state == WorkerState::kReady && worker.generation == pool_.generation();
    if (sample == samples.end() || !judged) continue;
    const std::uint64_t bytes = sample->second.pss;
    const SlotCounters counters = scoreboard_.Counters(worker.slot);
    const bool unused = counters.connections + counters.requests == 0;
    const auto verdict = memory_watch_.Sampled(id, bytes, limit, unused);
    if (verdict == MemoryWatch::Verdict::kNothing) continue;
    if (verdict == MemoryWatch::Verdict::kExpel && std::exchange(expels, true)) continue;
    steps.push_back({worker, verdict, bytes});
  }
  for (const Step& step : steps) {
    const std::string message = fmt::format("{} has {} MiB of memory (PSS), the limit is {} MiB",
                                            NameOf(step.worker), step.bytes >> 20, limit >> 20);
    switch (step.verdict) {
      case MemoryWatch::Verdict::kExpel:
        ExpelFor(step.worker, message);
        break;
      case MemoryWatch::Verdict::kTooLow:
        TellOfMemory(step.worker,
                     message + ", and it has served nothing yet: the limit is too low");
        break;
      case MemoryWatch::Verdict::kRecycle:
        TellOfMemory(step.worker, message + ": it is to be replaced");
        pool_.Recycle(step.worker.id, StopReason::kMemory);
        break;
      case MemoryWatch::Verdict::kNothing:
        break;
    }
  }
}

void Supervisor::TellOfMemory(const WorkerHandle& worker, const std::string& message) {
  spdlog::warn("{}", message);
  events_.Add({.type = "memory_limit", .worker = worker.id, .pid = worker.pid, .message = message});
}

void Supervisor::ExpelFor(const WorkerHandle& worker, const std::string& message) {
  std::string requests;
  for (const RequestReport& request : RequestsOf(worker, Source())) {
    requests +=
        (requests.empty() ? "; lost with it: " : ", ") + request.method + " " + request.path;
  }
  spdlog::error("{}, and it goes at once{}", message, requests);
  events_.Add({.type = "memory_limit",
               .worker = worker.id,
               .pid = worker.pid,
               .message = message + ", and it goes at once" + requests});
  pool_.Expel(worker.id, StopReason::kMemory);
}

// The loop

void Supervisor::AfterTurn() {
  generations_.Settle();
  if (stopping_) {
    if (!pool_.empty()) return ArmPoolTimer();
    FinishJobs(CommandId::kStop, "the server has stopped");
    guard_.Look();
    events_.FailWaiters(503, kBeingStopped);
    return loop_.Stop();
  }
  const std::string ready = WorkersAreReady(pool_.ready_count());
  if (!generations_.rolling_out() && pool_.replaced()) {
    const std::string generation = "generation " + std::to_string(pool_.generation());
    FinishJobs(CommandId::kReload, generation + " serves, " + ready);
    FinishJobs(CommandId::kRollback, generation + " serves again, " + ready);
    FinishJobs(CommandId::kRestart, "all workers were replaced, " + ready);
  }
  if (pool_.settled()) FinishJobs(CommandId::kScale, ready);
  TellOfCrashLoop();
  LeaveIfIdle();
  if (reload_wanted_ && !RefusalToReplace()) {
    reload_wanted_ = false;
    generations_.StartRollout();
  }
  ArmPoolTimer();
}

void Supervisor::TellOfCrashLoop() {
  if (std::exchange(crash_looping_, pool_.crash_looping()) == crash_looping_) return;
  const std::string message =
      crash_looping_ ? "Workers end or fail to boot again and again: restarts wait for each other"
                     : "Workers live again";
  spdlog::log(crash_looping_ ? spdlog::level::err : spdlog::level::info, "{}", message);
  events_.Add({.type = crash_looping_ ? "crash_looping" : "crash_loop_ended", .message = message});
}

void Supervisor::ArmPoolTimer() {
  loop_.Cancel(pool_timer_);
  pool_timer_ = 0;
  if (const auto next = pool_.NextTick()) {
    pool_timer_ = loop_.RunAt(*next, [this] { pool_.Tick(); });
  }
}

void Supervisor::ReportService() {
  if (!notifier_.enabled()) return;
  using Phase = ServiceState::Phase;
  const std::string& trouble = worker_trouble_.empty() ? reload_trouble_ : worker_trouble_;
  const Generation* serving = generations_.serving();
  std::string status = stopping_            ? "stopping"
                       : serving == nullptr ? "starting"
                                            : ServiceStatus(pool_.ready_count(), pool_.wanted(),
                                                            serving->number, trouble);
  if (stopping_) return notifier_.Report({Phase::kStopping, std::move(status)});
  if (serving == nullptr) return notifier_.Report({Phase::kStarting, std::move(status)});
  const Phase phase = generations_.rolling_out() ? Phase::kReloading : Phase::kServing;
  if (phase == Phase::kReloading) status += ", reloading";
  notifier_.Report({phase, std::move(status)});
}

std::string Supervisor::StateName() const {
  if (stopping_) return "stopping";
  if (generations_.serving() == nullptr) return "starting";
  if (upgrade_ != UpgradePhase::kNone) return "upgrading";
  if (const Rollout* rollout = generations_.rollout()) {
    return rollout->kind == RolloutKind::kLoad ? "reloading" : "rolling_back";
  }
  if (pool_.crash_looping()) return "crash-looping";
  return jobs_.Running(CommandId::kRestart) ? "restarting" : "serving";
}

std::string Supervisor::Progress() const {
  if (stopping_) {
    return fmt::format("waiting for {} worker(s)", pool_.workers().size());
  }
  if (upgrade_ == UpgradePhase::kRehearsing) return "trying the new program";
  const Rollout* rollout = generations_.rollout();
  if (rollout == nullptr) return "";
  std::string progress(RolloutStateName(rollout->state));
  if (rollout->state == RolloutState::kRolling) {
    progress += fmt::format(", {} of {} done", pool_.fresh_count(), pool_.wanted());
  }
  return progress;
}

ReportSource Supervisor::Source() {
  facts_.state = StateName();
  facts_.progress = Progress();
  facts_.kept_generations = generations_.kept();
  facts_.app = generations_.settings().wsgi_app;
  facts_.listeners.clear();
  const auto addresses = generations_.listeners().addresses();
  const auto fds = generations_.listeners().fds();
  for (std::size_t i = 0; i < fds.size(); ++i) {
    facts_.listeners.push_back({addresses[i].ToString(), fds[i]});
  }
  return {facts_,
          pool_,
          scoreboard_,
          statistics_,
          [this](RequestId id) { return guard_.StateOf(id); },
          clock_.Now(),
          samples_};
}

}  // namespace gunid
