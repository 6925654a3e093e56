// gunid: the supervisor's program.
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "config/command_line.h"
#include "control/control_server.h"
#include "control/control_socket.h"
#include "gunid/exit_codes.h"
#include "ipc/inherited_sockets.h"
#include "supervisor/supervisor.h"

namespace gunid {
namespace {

int Fail(const Error& error) {
  std::fprintf(stderr, "gunid: %s\n", error.message.c_str());
  return error.exit_code;
}

// What runs here, and what is installed beside it.
Result<std::pair<ProgramFile, ProgramFile>> Programs(const std::string& name,
                                                     const std::optional<ServerState>& state) {
  if (state && state->returning) {
    const LeavingProgram& own = state->leaving;
    return std::pair(ProgramFile(own.path, UniqueFd(own.fd)),
                     ProgramFile(own.worker_path, UniqueFd(own.worker_fd)));
  }
  // Since then the directory has changed that a relative name was meant from.
  auto program = ProgramFile::Running(state ? state->leaving.path : name);
  if (!program) return program.error();
  const auto directory = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const std::string path = (directory / "gunid-worker").string();
  auto worker = ProgramFile::Open(path, path);
  if (!worker) return worker.error();
  return std::pair(std::move(*program), std::move(*worker));
}

// Nobody means the server's end by these; who sends them has the wrong process, or believes that the
// signal does something. Children get the default actions back (ChildProcess).
void IgnoreStraySignals() {
  for (const int signal : {SIGALRM, SIGVTALRM, SIGPROF, SIGPIPE, SIGIO, SIGSTKFLT, SIGPWR}) {
    std::signal(signal, SIG_IGN);
  }
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) std::signal(signal, SIG_IGN);
}

// For a supervisor that takes them again, in a process with another pid.
void RestoreEnvironment(const std::vector<std::string>& assignments) {
  for (const std::string& assignment : assignments) {
    const std::size_t equals = assignment.find('=');
    setenv(assignment.substr(0, equals).c_str(), assignment.c_str() + equals + 1, 1);
  }
}

// The program before this one takes its place again. `environment`: what the supervisor has taken for
// itself already, "NAME=value". One that has come back itself has nobody to go back to.
int GoBack(ServerState state, const std::vector<std::string>& arguments,
           const std::vector<std::string>& environment, const Error& error) {
  if (state.returning) return Fail(error);
  state.returning = {"upgrade_failed", error.message, ""};
  const ProgramFile previous(state.leaving.path, UniqueFd(state.leaving.fd));
  return Fail(Become({previous.PathToRun(), arguments, environment}, state));
}

// What the program was started with.
struct Start {
  std::vector<SettingsLayer> layers;
  std::vector<std::string> arguments;
  InheritedSockets inherited;
  std::optional<ServerState> state;
  bool rehearsal = false;
};

// The life of a supervisor. Returns the exit code; `background` is set if it has not begun, because it
// has to run in the background.
Result<int> Serve(const Start& start, std::optional<Background>& background) {
  const auto& state = start.state;
  auto programs = Programs(start.arguments.front(), state);
  if (!programs) return programs.error();
  std::unique_ptr<ControlServer> control;
  auto created = Supervisor::Create({
      .layers = start.layers,
      .arguments = start.arguments,
      .program = std::move(programs->first),
      .worker_program = std::move(programs->second),
      .inherited = start.inherited,
      .control = {.open = [&control](const Settings& settings) -> Result<std::string> {
                    const std::string path = ControlSocketPath(settings);
                    if (Status started = control->Start(path); !started) return started.error();
                    return path;
                  },
                  .state = [&control] { return control->ToState(); },
                  .pause = [&control] { control->Pause(); },
                  .resume = [&control] { return control->Resume(); }},
      .background = std::exchange(background, std::nullopt),
      .state = state,
  });
  if (!created) return created.error();
  Supervisor& supervisor = **created;
  control = std::make_unique<ControlServer>(supervisor);
  if (state) {
    // Nothing is destroyed where this ends: sockets would be removed, and processes killed.
    Status taken = supervisor.TakeOver();
    if (taken && start.rehearsal) {
      Rehearsal::Pass();
      _exit(exit_code::kOk);
    }
    if (taken) taken = control->Adopt(state->control);
    if (!taken && start.rehearsal) _exit(Fail(taken.error()));
    if (!taken) _exit(GoBack(*state, start.arguments, supervisor.environment(), taken.error()));
  }
  const int code = supervisor.Run();
  control->Stop();
  background = supervisor.background_wanted();
  if (background) RestoreEnvironment(supervisor.environment());
  return code;
}

int Main(int argc, char** argv) {
  // A rehearsal goes as far as TakeOver(), and leaves all as it is.
  sigset_t signal_mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &signal_mask);
  const bool rehearsal = argc > 1 && argv[1] == std::string_view(kRehearseOption);
  std::vector<std::string> arguments(argv, argv + argc);
  if (rehearsal) arguments.erase(arguments.begin() + 1);
  auto left = TakeServerState();
  if (!left) return Fail(left.error());
  const std::optional<ServerState> state = std::move(*left);
  if (rehearsal && !state) {
    return Fail(
        {std::string(kRehearseOption) + " is for a gunid that is upgraded", exit_code::kUsage});
  }
  if (state) prctl(PR_SET_NAME, "gunid");  // it may have been run by the number of a descriptor
  const auto fail = [&](const Error& error) {
    return state && !rehearsal ? GoBack(*state, arguments, {}, error) : Fail(error);
  };

  auto inherited = state
                       ? InheritedSockets::Adopt(state->inherited_sockets, state->activated_sockets)
                       : InheritedSockets::Take();
  IgnoreStraySignals();
  auto command_line = ParseCommandLine(argc - (rehearsal ? 1 : 0), argv + (rehearsal ? 1 : 0));
  if (!command_line) return fail(command_line.error());
  if (command_line->print) {
    std::fputs(command_line->print->c_str(), stdout);
    return exit_code::kOk;
  }
  if (!inherited) return fail(inherited.error());
  if (Status opened = OpenLog("-", "info"); !opened) return fail(opened.error());

  const Start start{command_line->layers, arguments, *inherited, state, rehearsal};
  std::optional<Background> background;
  auto code = Serve(start, background);
  if (code && background) {
    pthread_sigmask(SIG_SETMASK, &signal_mask, nullptr);
    const std::string foreground = std::to_string(getpid());
    auto daemon = Daemon::Start();
    if (!daemon) return Fail(daemon.error());
    const char* const watched = std::getenv("WATCHDOG_PID");
    if (watched != nullptr && watched == foreground) {
      setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
    }
    background->daemon = std::make_shared<Daemon>(std::move(*daemon));
    const std::shared_ptr<Daemon> started = background->daemon;
    code = Serve(start, background);
    started->Ends(code ? *code : code.error().exit_code);
  }
  return code ? *code : fail(code.error());
}

}  // namespace
}  // namespace gunid

int main(int argc, char** argv) {
  return gunid::Main(argc, argv);
}
