#include "ctl/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <system_error>

#include "ctl/escape.h"
#include "gunid/exit_codes.h"
#include "gunid/version.h"

namespace gunid {

namespace {

struct RawArguments {
  std::optional<std::string> timeout;
  std::optional<std::string> argument;
};

std::string UpperCase(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return upper;
}

CommandLineExit UsageError(const std::string& message) {
  return {ctl_exit::kUsage, "gunictl: " + EscapeControl(message) + "\n"};
}

std::string DescribeMissing(const CLI::App& app, const CLI::RequiredError& error) {
  const auto commands = app.get_subcommands();
  if (!commands.empty()) return commands.front()->get_name() + ": " + error.what();
  const auto unknown = app.remaining();
  const std::string what =
      unknown.empty() ? "no command given" : "there is no command '" + unknown.front() + "'";
  return what + "; see gunictl --help";
}

void DeclareArgument(CLI::App& command, const CommandRow& row, CommandLine& line,
                     RawArguments& raw) {
  const ArgumentRow& kind = RowOf(row.kind);
  std::string form(kind.form);
  form.front() = UpperCase(form.substr(0, 1)).front();
  command.add_option(UpperCase(row.argument), raw.argument, form)
      ->required(kind.required)
      ->option_text(" ");
  if (row.kind == ArgumentKind::kAfterEvent) {
    command.add_flag("--follow", line.follow, "Print events as they come, until interrupted");
  }
}

void Declare(CLI::App& app, CommandLine& line, RawArguments& raw) {
  app.require_subcommand(1);
  app.fallthrough();  // options may also follow the command
  app.set_version_flag("--version", std::string("gunictl ") + GUNID_VERSION);
  // An unset shell variable must not turn `-s "$SOCKET" stop` into an order to whichever server
  // runs.
  const CLI::Validator not_empty(
      [](const std::string& value) {
        return std::string(value.empty() ? "must not be empty" : "");
      },
      "", "");
  auto* socket = app.add_option("-s,--socket", line.socket, "Path of the server's control socket");
  socket->check(not_empty)->option_text("PATH");
  auto* name = app.add_option("--name", line.name, "Name of the server, as given to gunid --name");
  name->check(not_empty)->option_text("NAME")->excludes(socket);
  app.add_flag("--json", line.json, "Print the JSON document of the control API");
  app.add_option(
         "--timeout", raw.timeout,
         "Seconds to wait for the answer (default: 10, without limit for commands that wait)")
      ->option_text("SECONDS");
  app.footer(
      "Without -s or --name the only running server is meant.\n"
      "Exit codes: 0 done, 1 the operation failed, 2 usage, 3 cannot connect, 4 timed out.");

  for (const CommandRow& row : kCommands) {
    CLI::App* command = app.add_subcommand(std::string(row.name), std::string(row.help));
    command->callback([&line, &row] { line.row = &row; });
    if (!row.argument.empty()) DeclareArgument(*command, row, line, raw);
    if (row.job) {
      command->add_flag_callback(
          "--no-wait", [&line] { line.command.wait = false; },
          "Print the id of the job at once, for gunictl job");
    }
  }
}

std::optional<CommandLineExit> ReadTimeout(const std::string& text, CommandLine* line) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(seconds) ||
      seconds <= 0) {
    return UsageError("--timeout must be a number of seconds greater than 0, not '" + text + "'");
  }
  line->timeout = seconds;
  return std::nullopt;
}

std::optional<CommandLineExit> ReadArgument(const std::string& text, CommandLine* line) {
  const CommandRow& row = *line->row;
  const ArgumentRow& kind = RowOf(row.kind);
  if (kind.read(text, line->command)) return std::nullopt;
  return UsageError(std::string(row.name) + ": " + UpperCase(row.argument) + " must be " +
                    std::string(kind.form) + ", not '" + text + "'");
}

}  // namespace

std::variant<CommandLine, CommandLineExit> ParseCommandLine(
    const std::vector<std::string>& arguments) {
  CommandLine line;
  RawArguments raw;
  CLI::App app("Manages a running gunid through its control socket.", "gunictl");
  Declare(app, line, raw);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(),
                                       arguments.rend()));  // CLI11 wants them reversed
  } catch (const CLI::CallForHelp&) {
    return CommandLineExit{ctl_exit::kDone, app.help()};
  } catch (const CLI::CallForVersion& version) {
    return CommandLineExit{ctl_exit::kDone, std::string(version.what()) + "\n"};
  } catch (const CLI::RequiredError& error) {
    return UsageError(DescribeMissing(app, error));
  } catch (const CLI::Error& error) {
    return UsageError(error.what());
  }
  line.command.id = line.row->id;
  std::optional<CommandLineExit> mistake;
  if (raw.timeout) mistake = ReadTimeout(*raw.timeout, &line);
  if (raw.argument && !mistake) mistake = ReadArgument(*raw.argument, &line);
  if (mistake) return *std::move(mistake);
  return line;
}

}  // namespace gunid
