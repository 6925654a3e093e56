// The supervisor: one event loop on the main thread. It turns signals and commands into what is
// wanted of the worker pool and of the generations, and answers a command when that has come about.
// No Python, no client connection, no blocking work.
//
// Before the first generation serves, every failure ends the program with a reason and an exit
// code. From then on nothing ends it but a signal or `gunictl stop`: what fails is logged, undone
// or tried again.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/daemon.h"
#include "base/event_loop.h"
#include "base/signal_source.h"
#include "ipc/handover.h"
#include "supervisor/command.h"
#include "supervisor/crash_log.h"
#include "supervisor/error_relay.h"
#include "supervisor/event_log.h"
#include "supervisor/file_watch.h"
#include "supervisor/generations.h"
#include "supervisor/jobs.h"
#include "supervisor/memory_watch.h"
#include "supervisor/pid_file.h"
#include "supervisor/report.h"
#include "supervisor/request_guard.h"
#include "supervisor/server_state.h"
#include "supervisor/service_notifier.h"
#include "supervisor/upgrade.h"
#include "supervisor/zygote_handle.h"

namespace gunid {

// The control API's server as the supervisor needs it.
struct ControlFunctions {
  // Opens the control socket once the settings are known; returns its path.
  std::function<Result<std::string>(const Settings&)> open;
  // Of the open socket.
  std::function<ControlSocketState()> state;
  // No command comes any more, until it is resumed or another program has the socket.
  std::function<void()> pause;
  std::function<Status()> resume;
};

// The settings want a daemon, and this is it.
struct Background {
  std::shared_ptr<Daemon> daemon;
  bool keep_output = false;  // enable_stdio_inheritance
};

struct SupervisorOptions {
  std::vector<SettingsLayer> layers;   // of the command line and the environment
  std::vector<std::string> arguments;  // argv
  ProgramFile program;                 // that runs
  ProgramFile worker_program;          // gunid-worker; taken by the constructor
  InheritedSockets inherited;          // listening sockets that the program was started with
  ControlFunctions control;
  std::optional<Background> background;
  // Of the program whose place this one takes.
  std::optional<ServerState> state;
};

struct PreviousProgram {
  std::string version;
  ProgramFile program;
  ProgramFile worker;
};

class Supervisor : public CommandSink, private GenerationsObserver, private PoolObserver {
 public:
  static Result<std::unique_ptr<Supervisor>> Create(SupervisorOptions options);
  ~Supervisor() override;

  // Takes over what options.state names, before Run(). If that fails, or if the program does not go
  // on for another reason, the supervisor must not be destroyed: that would end the server.
  Status TakeOver();

  // Serves until it is told to stop. Returns gunid's exit code.
  int Run();
  // After Run(): it has ended before it began, because the settings want a daemon: start it anew as one.
  [[nodiscard]] const std::optional<Background>& background_wanted() const {
    return background_wanted_;
  }
  // What it has taken from the environment for itself, "NAME=value": the next one wants it, too.
  [[nodiscard]] const std::vector<std::string>& environment() const {
    return notifier_.environment();
  }

  void Post(Command command, std::function<void(CommandResult)> done) override;

 private:
  Supervisor(SupervisorOptions options, Scoreboard scoreboard, Handover handover);

  // Signals and commands.
  void OnSignal(int signal);
  void Execute(const Command& command, Jobs::Done done);
  void WithMemory(std::function<void()> answer);
  [[nodiscard]] std::vector<int> WorkerPids() const;
  void ExecuteReady(Jobs::Done done);
  void ExecuteJob(int id, Jobs::Done done);
  void ExecuteScale(const Command& command, Jobs::Done done);
  void ExecuteReload(const Command& command, Jobs::Done done);
  void ExecuteRollback(const Command& command, Jobs::Done done);
  void ExecuteRestart(const Command& command, Jobs::Done done);
  void ExecuteUpgrade(const Command& command, Jobs::Done done);
  void ExecuteEvents(std::optional<std::uint64_t> after, Jobs::Done done);
  void ExecuteStack(int worker, Jobs::Done done);
  void ExecuteCancel(RequestId id, Jobs::Done done);
  // The operation has not begun yet.
  void StartJob(const Command& command, Jobs::Done done);
  void FinishJobs(CommandId id, const std::string& message);
  [[nodiscard]] std::optional<CommandResult> RefusalToReplace() const;
  void ScaleBy(int difference);
  void SetScale(int workers);
  void Reload();
  void Stop(bool quick);
  void ReopenLogs();

  // Upgrade (supervisor_upgrade.cc).
  void UpgradeOnSignal();
  void StartUpgrade();
  void StartRehearsal();
  void Rehearsed(const Rehearsal::Outcome& outcome);
  void StepUpgrade(UpgradeEvent event);
  void LeaveIfIdle();
  void Leave();
  void UpgradeFailed(const ErrorReport& error);
  void UpgradeServes();
  [[nodiscard]] NextProgram Next() const;
  [[nodiscard]] ServerState ToState() const;

  // GenerationsObserver
  bool StartsAnew(const Settings& settings) override;
  Status FirstSettingsLoaded(const Settings& settings) override;
  void ConfigurationChecked() override;
  void GenerationServes() override;
  void RolloutFailed(RolloutKind kind, const BootFailure& failure) override;
  void RolloutFinished(RolloutKind kind) override;
  void ZygoteLost(const BootFailure& failure) override;
  void FilesWereLoaded(const FilesLoaded& loaded) override;

  // PoolObserver
  void WorkerBecameReady(const WorkerHandle& worker) override;
  void WorkerHangs(const WorkerHandle& worker) override;
  void WorkerFailedToBoot(const WorkerHandle& worker, const BootFailure& failure) override;
  void WorkerCrashed(const WorkerHandle& worker, const std::string& exit) override;
  void WorkerGone(const WorkerHandle& worker, const std::string& exit) override;

  // max_worker_memory
  void LimitMemory();
  void OnMemory(const MemorySamples& samples);
  void TellOfMemory(const WorkerHandle& worker, const std::string& message);
  void ExpelFor(const WorkerHandle& worker, const std::string& message);

  void KeepCrash(const WorkerHandle& worker, const std::string& message, const std::string& detail);
  std::string LastWords(const WorkerHandle& worker);
  void OnFileChanged(const std::string& path);
  void OnWorkerMessage(int worker_id, const Message& message);
  void FailJobs(const BootFailure& failure);
  void OnBootFailure(int generation, const BootFailure& failure);
  // What follows from all that happened in a turn of the loop: operations and rollouts that have
  // ended, the next timer.
  void AfterTurn();
  void TellOfCrashLoop();
  void ArmPoolTimer();
  void ReportService();

  void ServesInBackground();
  void SetControlSocket(const std::string& path);
  [[nodiscard]] std::string StateName() const;
  [[nodiscard]] std::string Progress() const;
  ReportSource Source();

  SupervisorOptions options_;
  UniqueFd null_;  // /dev/null of a daemon's children
  Clock clock_;
  EventLoop loop_;
  SignalSource signals_;
  Reaper reaper_;
  StackDump stacks_;
  Scoreboard scoreboard_;
  Handover handover_;
  EventLog events_;
  CrashLog crashes_;
  Statistics statistics_;
  ErrorRelay errors_;
  ZygoteProcesses zygotes_;
  WorkerSpawner spawner_;
  WorkerPool pool_;
  Generations generations_;
  RequestGuard guard_;
  MemorySampler memory_;
  MemoryWatch memory_watch_;
  const MemorySamples* samples_ = nullptr;  // while a document is made with them
  EventLoop::TimerId memory_timer_ = 0;
  int judged_round_ = 0;  // of memory_
  FileWatch files_;
  PidFile pid_file_;
  Rehearsal rehearsal_;
  ServiceNotifier notifier_;

  bool reload_wanted_ = false;  // by SIGHUP or FileWatch; starts when nothing else replaces workers
  std::optional<int> scaled_;   // by command or signal; overrides the settings' workers

  std::optional<Background> background_wanted_;
  UpgradePhase upgrade_ = UpgradePhase::kNone;
  EventLoop::TimerId leaving_timer_ = 0;
  // The program before this one, while it may have to come back.
  std::optional<PreviousProgram> previous_;
  std::optional<ErrorReport> returning_;  // why it comes back

  Jobs jobs_{clock_};
  ServerFacts facts_;
  std::string reload_trouble_;  // for the service manager: why the last reload failed; ""
  std::string worker_trouble_;  // likewise, why no new worker comes up; ""
  EventLoop::TimerId pool_timer_ = 0;
  bool crash_looping_ = false;  // as was told
  bool stopping_ = false;
  int exit_code_ = 0;
};

}  // namespace gunid
