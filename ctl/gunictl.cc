// gunictl: one command to a running gunid, its answer as text or JSON, and an exit code that tells
// the truth.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "ctl/command_line.h"
#include "ctl/control_client.h"
#include "ctl/escape.h"
#include "ctl/follow_events.h"
#include "ctl/follow_job.h"
#include "ctl/instances.h"
#include "ctl/progress.h"
#include "ctl/render.h"
#include "ctl/server_process.h"
#include "gunid/control_paths.h"
#include "gunid/exit_codes.h"

namespace {

using namespace gunid;

constexpr double kProgressTimeout = 1;  // seconds
constexpr double kQuickTimeout = 10;    // seconds, for commands that do not wait

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

std::optional<double> Timeout(const CommandLine& line, const Command& command) {
  if (line.timeout || Waits(*line.row, command)) return line.timeout;
  return kQuickTimeout;
}

// What the server says of the command that is under way; "" if it says nothing.
std::string ProgressOf(const std::string& socket) {
  const Reply reply = SendCommand(socket, RowOf(CommandId::kStatus), {}, kProgressTimeout);
  const auto status = nlohmann::json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  const auto progress = status.is_object() ? status.find("progress") : status.end();
  return progress != status.end() && progress->is_string()
             ? EscapeControl(progress->get<std::string>())
             : "";
}

// A job that has failed was found and shown, and is a failure all the same.
bool IsFailedJob(const CommandLine& line, const Reply& reply) {
  if (line.row->id != CommandId::kJob && line.row->id != CommandId::kUpgrade) return false;
  const auto job = nlohmann::json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  return job.is_object() && job.value("state", "") == "failed";
}

Reply Ask(const CommandLine& line, const std::string& socket) {
  const CommandRow& row = *line.row;
  std::optional<Progress> progress;
  if (Waits(row, line.command) && isatty(STDERR_FILENO) == 1)
    progress.emplace(std::string(row.name), [socket] { return ProgressOf(socket); });
  std::optional<ServerProcess> server;
  if (row.id == CommandId::kStop) server.emplace(socket);
  Reply reply = SendCommand(socket, row, line.command, Timeout(line, line.command));
  if (server && reply.http_status == 200) server->WaitForEnd();
  if (row.id == CommandId::kUpgrade && line.command.wait) {
    return FollowJob(reply, line.timeout, [&](const Command& command) {
      return SendCommand(socket, RowOf(command.id), command, kQuickTimeout);
    });
  }
  return reply;
}

int Report(const CommandLine& line, const Reply& reply) {
  const int exit_code = ExitCode(reply);
  const bool done = exit_code == ctl_exit::kDone;
  const int shown = done && IsFailedJob(line, reply) ? ctl_exit::kFailed : exit_code;
  if (line.json) return Print(shown, reply.body);

  const bool colour = isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  const std::string name(line.row->name);
  const auto text = done ? RenderReport(line.command, reply.body, colour) : RenderError(reply.body);
  if (!text) return Complain(ctl_exit::kFailed, name + ": the server's answer is not understood");
  if (line.row->id == CommandId::kUpgrade && line.command.wait && shown != exit_code)
    return Complain(shown, name + ": " + *text);
  return done ? Print(shown, *text) : Complain(exit_code, name + ": " + *text);
}

int Follow(const CommandLine& line, const std::string& socket) {
  const auto ask = [&](const Command& command) {
    return SendCommand(socket, *line.row, command, Timeout(line, command));
  };
  const FollowEnd end = FollowEvents(line.command, line.json, ask, std::cout, std::cerr);
  return Complain(end.exit_code, end.reason);
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

  if (line.follow) return Follow(line, choice.socket);
  const Reply reply = Ask(line, choice.socket);
  if (reply.outcome == Reply::Outcome::kAnswered) return Report(line, reply);
  return Complain(ExitCode(reply), EscapeControl(reply.error));
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
