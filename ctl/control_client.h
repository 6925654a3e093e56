// One request to the control API over its Unix socket, with a limit on the wait for the answer.
// Blocking.
#pragma once

#include <optional>
#include <string>

#include "gunid/command.h"
#include "gunid/control_api.h"

namespace gunid {

struct Reply {
  enum class Outcome { kAnswered, kCannotConnect, kTimedOut, kBroken };

  Outcome outcome = Outcome::kBroken;
  int http_status = 0;  // if answered
  std::string body;     // if answered: a JSON document
  std::string error;    // if not: one line
};

// What gunictl exits with after that.
int ExitCode(const Reply& reply);

// `row` is that of the command. Without a timeout it waits for as long as the server lives.
Reply SendCommand(const std::string& socket_path, const CommandRow& row, const Command& command,
                  std::optional<double> timeout_s);

}  // namespace gunid
