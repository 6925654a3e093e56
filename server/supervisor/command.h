// What the control API asks of the supervisor. Handlers run on the control server's threads and
// only post a Command; the supervisor's loop thread acts on it and answers, at once or when the
// operation has ended.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "gunid/command.h"
#include "gunid/reports.h"

namespace gunid {

struct CommandResult {
  int http_status = 200;
  std::string body;  // JSON: the report that belongs to the command, or {"error": ErrorReport}
};

CommandResult ErrorResult(int http_status, const ErrorReport& error);

// To whoever asks for something while the server is being stopped.
inline const ErrorReport kBeingStopped{"stopping", "the server is being stopped", ""};

// To whoever is cut off by an upgrade; the server serves, and is there again at once.
inline const ErrorReport kBeingUpgraded{
    "upgrading", "the supervisor's program is being replaced: ask again", ""};

// The socket that commands come by, for the program that takes the supervisor's place.
struct ControlSocketState {
  std::string path;
  int fd = -1;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
};

class CommandSink {
 public:
  virtual ~CommandSink() = default;
  // From any thread. `done` is called exactly once, on the supervisor's loop thread; it must not
  // block. Whoever asked may be gone by then, and nobody tells the supervisor: what it keeps for
  // commands that may wait for ever (events) has to have a bound.
  virtual void Post(Command command, std::function<void(CommandResult)> done) = 0;
};

}  // namespace gunid
