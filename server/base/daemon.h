// Going into the background (Gunicorn's `daemon`). The process that was started stays in the
// foreground until the server serves, and exits with 0 then, or with what the server ended with; so
// whoever started it knows how it went, and has seen what was logged.
//
//   foreground   waits, hands SIGINT and SIGTERM on
//    `-- daemon  leads a session of its own, has no terminal
//
// States of the daemon: starting (its output goes where the foreground's goes) -> serving (to
// /dev/null) ; or it ends while it is starting.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace gunid {

class Daemon {
 public:
  // Returns in the daemon. The process must have one thread and default actions for SIGINT and
  // SIGTERM.
  static Result<Daemon> Start();

  // The standard streams go to /dev/null from now on, but with `keep_output` (Gunicorn's
  // enable_stdio_inheritance) output and errors where they are no terminal. The foreground process
  // ends.
  void Serves(bool keep_output);
  // This process is about to end with that code, and so does the one in the foreground, if it still
  // waits.
  void Ends(int exit_code);

 private:
  explicit Daemon(UniqueFd foreground) : foreground_(std::move(foreground)) {}

  UniqueFd foreground_;  // takes the exit code
};

// Whether that standard stream stays as it is in a daemon that serves.
bool DaemonKeeps(int stream, bool keep_output);

}  // namespace gunid
