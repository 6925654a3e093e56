// gunictl: one command to a running gunid, its answer as text or JSON, and an exit code that tells
// the truth.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>

#include "ctl/command_line.h"
#include "ctl/control_client.h"
#include "ctl/instances.h"
#include "ctl/progress.h"
#include "ctl/render.h"
#include "ctl/server_process.h"
#include "gunid/control_paths.h"
#include "gunid/exit_codes.h"

namespace {

using namespace gunid;

constexpr double kQuickTimeout = 10;  // seconds, for commands that do not wait

int Complain(int exit_code, const std::string& text) {
  std::cerr << "gunictl: " << text;
  if (!text.ends_with('\n')) std::cerr << '\n';
  return exit_code;
}

int Print(int exit_code, const std::string& text) {
  std::cout << text;
  if (!text.ends_with('\n')) std::cout << '\n';
  if (!std::cout.flush())
    return Complain(ctl_exit::kFailed, "cannot write the answer to standard output");
  return exit_code;
}

Reply Ask(const CommandLine& line, const std::string& socket) {
  const CommandRow& command = *line.command;
  std::optional<Progress> progress;
  if (command.waits && isatty(STDERR_FILENO) == 1) progress.emplace(std::string(command.name));
  std::optional<double> timeout = line.timeout;
  if (!timeout && !command.waits) timeout = kQuickTimeout;
  std::optional<ServerProcess> server;
  if (command.id == CommandId::kStop) server.emplace(socket);
  const Reply reply = SendCommand(socket, command, line.argument, timeout);
  if (server && reply.http_status == 200) server->WaitForEnd();
  return reply;
}

int Report(const CommandLine& line, const Reply& reply) {
  const bool done = reply.http_status == 200;
  const int exit_code = done ? ctl_exit::kDone : ctl_exit::kFailed;
  if (line.json) return Print(exit_code, reply.body);

  const bool colour = isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  const std::string name(line.command->name);
  const auto text =
      done ? RenderReport(line.command->id, reply.body, colour) : RenderError(reply.body);
  if (!text) return Complain(ctl_exit::kFailed, name + ": the server's answer is not understood");
  return done ? Print(exit_code, *text) : Complain(exit_code, name + ": " + *text);
}

int ExitCode(Reply::Outcome outcome) {
  switch (outcome) {
    case Reply::Outcome::kCannotConnect:
      return ctl_exit::kCannotConnect;
    case Reply::Outcome::kTimedOut:
      return ctl_exit::kTimedOut;
    case Reply::Outcome::kAnswered:
    case Reply::Outcome::kBroken:
      break;
  }
  return ctl_exit::kFailed;
}

int Run(const std::vector<std::string>& arguments) {
  const auto parsed = ParseCommandLine(arguments);
  if (const auto* exit = std::get_if<CommandLineExit>(&parsed)) {
    (exit->exit_code == ctl_exit::kDone ? std::cout : std::cerr) << exit->text;
    return exit->exit_code;
  }
  const auto& line = std::get<CommandLine>(parsed);
  const SocketChoice choice = ChooseSocket(line.socket, line.name, ControlDirectories());
  if (choice.socket.empty()) return Complain(choice.exit_code, EscapeControlLines(choice.error));

  const Reply reply = Ask(line, choice.socket);
  if (reply.outcome == Reply::Outcome::kAnswered) return Report(line, reply);
  return Complain(ExitCode(reply.outcome), EscapeControl(reply.error));
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a server that goes away is an error to report
  try {
    return Run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    return Complain(ctl_exit::kFailed, error.what());
  }
}
