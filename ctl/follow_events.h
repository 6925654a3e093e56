// gunictl events --follow: asks for what comes after the last event, again and again. Blocking.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "ctl/control_client.h"
#include "gunid/command.h"

namespace gunid {

// Why no more events come.
struct FollowEnd {
  int exit_code = 0;
  std::string reason;  // safe to print; one line, and the detail of an error if it has one
};

// Prints the events that `ask` gets, each at once, as lines for people or as one JSON document a
// line. What was forgotten by the server before it was asked for is told on `warnings`. Begins with
// `command`; returns when the server is gone or refuses, or when nobody reads `out`.
FollowEnd FollowEvents(Command command, bool json, const std::function<Reply(const Command&)>& ask,
                       std::ostream& out, std::ostream& warnings);

}  // namespace gunid
