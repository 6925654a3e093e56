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
Result<std::pair<ProgramFile, ProgramFile>> Programs(const char* name,
                                                     const std::optional<ServerState>& state) {
  if (state && state->returning) {
    const LeavingProgram& own = state->leaving;
    return std::pair(ProgramFile(own.path, UniqueFd(own.fd)),
                     ProgramFile(own.worker_path, UniqueFd(own.worker_fd)));
  }
  auto program = ProgramFile::Running(name);
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

// The program before this one takes its place again.
int GoBack(ServerState state, const std::vector<std::string>& arguments, const Error& error) {
  state.returning = {"upgrade_failed", error.message, ""};
  const ProgramFile previous(state.leaving.path, UniqueFd(state.leaving.fd));
  return Fail(Become({previous.PathToRun(), arguments, {}}, state));
}

int Main(int argc, char** argv) {
  // A rehearsal goes as far as TakeOver(), and leaves all as it is.
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
    return state && !rehearsal ? GoBack(*state, arguments, error) : Fail(error);
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
  auto programs = Programs(argv[0], state);
  if (!programs) return fail(programs.error());

  std::unique_ptr<ControlServer> control;
  auto supervisor = Supervisor::Create({
      .layers = command_line->layers,
      .arguments = arguments,
      .program = std::move(programs->first),
      .worker_program = std::move(programs->second),
      .inherited = std::move(*inherited),
      .control = {.open = [&control](const Settings& settings) -> Result<std::string> {
                    const std::string path = ControlSocketPath(settings);
                    if (Status started = control->Start(path); !started) return started.error();
                    return path;
                  },
                  .state = [&control] { return control->ToState(); },
                  .pause = [&control] { control->Pause(); },
                  .resume = [&control] { return control->Resume(); }},
      .state = state,
  });
  if (!supervisor) return fail(supervisor.error());
  control = std::make_unique<ControlServer>(**supervisor);
  if (state) {
    // Nothing is destroyed where this ends: sockets would be removed, and processes killed.
    Status taken = (*supervisor)->TakeOver();
    if (taken && rehearsal) {
      Rehearsal::Pass();
      _exit(exit_code::kOk);
    }
    if (taken) taken = control->Adopt(state->control);
    if (!taken) _exit(fail(taken.error()));
  }
  const int code = (*supervisor)->Run();
  control->Stop();
  return code;
}

}  // namespace
}  // namespace gunid

int main(int argc, char** argv) {
  return gunid::Main(argc, argv);
}
