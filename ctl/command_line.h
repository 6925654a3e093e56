// The command line of gunictl. Commands come from kCommands, one subcommand a row. Pure: it prints
// nothing and does not exit, so that its cases can be tested as a table.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "gunid/command.h"
#include "gunid/control_api.h"

namespace gunid {

struct CommandLine {
  std::string socket;  // -s; "" for none
  std::string name;    // --name; "" for none
  bool json = false;
  std::optional<double> timeout;  // seconds; what to do without one depends on the command
  const CommandRow* row = nullptr;
  Command command;      // with its argument
  bool follow = false;  // --follow: print events until the server ends
};

// --help and --version, or a mistake: text for stdout or for stderr, and what to exit with.
struct CommandLineExit {
  int exit_code = 0;
  std::string text;
};

// `arguments` without the program's name.
std::variant<CommandLine, CommandLineExit> ParseCommandLine(
    const std::vector<std::string>& arguments);

}  // namespace gunid
