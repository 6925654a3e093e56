// gunid: the supervisor's program.
#include <csignal>
#include <cstdio>
#include <filesystem>

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

// Installed beside gunid.
std::string WorkerProgram() {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "gunid-worker").string();
}

// Nobody means the server's end by these; who sends them has the wrong process, or believes that the
// signal does something. Children get the default actions back (ChildProcess).
void IgnoreStraySignals() {
  for (const int signal : {SIGALRM, SIGVTALRM, SIGPROF, SIGPIPE, SIGIO, SIGSTKFLT, SIGPWR}) {
    std::signal(signal, SIG_IGN);
  }
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) std::signal(signal, SIG_IGN);
}

int Main(int argc, char** argv) {
  auto inherited = InheritedSockets::Take();
  IgnoreStraySignals();
  auto command_line = ParseCommandLine(argc, argv);
  if (!command_line) return Fail(command_line.error());
  if (command_line->print) {
    std::fputs(command_line->print->c_str(), stdout);
    return exit_code::kOk;
  }
  if (!inherited) return Fail(inherited.error());
  if (Status opened = OpenLog("-", "info"); !opened) return Fail(opened.error());

  std::unique_ptr<ControlServer> control;
  auto supervisor = Supervisor::Create({
      .layers = command_line->layers,
      .worker_program = WorkerProgram(),
      .inherited = std::move(*inherited),
      .open_control = [&control](const Settings& settings) -> Result<std::string> {
        const std::string path = ControlSocketPath(settings);
        if (Status started = control->Start(path); !started) return started.error();
        return path;
      },
  });
  if (!supervisor) return Fail(supervisor.error());
  control = std::make_unique<ControlServer>(**supervisor);
  const int code = (*supervisor)->Run();
  control->Stop();
  return code;
}

}  // namespace
}  // namespace gunid

int main(int argc, char** argv) {
  return gunid::Main(argc, argv);
}
