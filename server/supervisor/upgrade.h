// Replacing the supervisor's program in place (`gunictl upgrade`, SIGUSR2): exec keeps the pid, the
// children and the descriptors; all else goes along as a ServerState.
//
//   none --asked--> rehearsing --passed--> leaving --exec--> [the new program] proving --serves--> none
//   rehearsing --refused--> none                  proving --failed--> returning
//   leaving --exec failed--> none                 returning --passed--> leaving --exec--> [the old program] none
//                                                 returning --refused--> none
//
// A rehearsal is the program as a child: it takes everything over, on copies of the descriptors,
// begins nothing, and says that it could. So a file that is no gunid, does not start, crashes or
// does not understand the state never gets to be the supervisor. Then the server goes on until no
// fork and no replacement is under way, and becomes the program. That one loads a generation of
// its own workers, an ordinary rollout; if it fails, the old program comes back in the same way:
// its file is kept open.
//
// The states are a pure function; Rehearsal and Become do what has to do with processes. Supervisor's
// loop thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "supervisor/reaper.h"
#include "supervisor/server_state.h"

namespace gunid {

enum class UpgradePhase : std::uint8_t { kNone, kRehearsing, kLeaving, kProving, kReturning };

enum class UpgradeEvent : std::uint8_t {
  kAsked,
  kPassed,   // the rehearsal
  kRefused,  // likewise, or exec
  kTakenOver,
  kServes,  // a generation of the new program's workers
  kFailed,  // that
};

UpgradePhase NextUpgradePhase(UpgradePhase phase, UpgradeEvent event);

// What is run: a file with the arguments of this program.
struct NextProgram {
  std::string path;                      // to run
  std::vector<std::string> arguments;    // argv, with argv[0]
  std::vector<std::string> environment;  // "NAME=value", beside this program's
};

// argv[1] of a rehearsal. A program that does not know it ends with a usage error.
inline constexpr char kRehearseOption[] = "--rehearse-upgrade";

class Rehearsal {
 public:
  // The version that would take over, or why none can; `detail`: what the program wrote.
  struct Outcome {
    std::string version;
    ErrorReport error;
  };

  Rehearsal(EventLoop& loop, Reaper& reaper) : loop_(loop), reaper_(reaper) {}
  ~Rehearsal() { Cancel(); }
  Rehearsal(const Rehearsal&) = delete;
  Rehearsal& operator=(const Rehearsal&) = delete;

  // `done` is called once, later.
  void Start(const NextProgram& program, const ServerState& state,
             std::function<void(const Outcome&)> done);
  // `done` is not called.
  void Cancel();

  // In the program that is rehearsed: tells that it can take over.
  static void Pass();

 private:
  void Ended(int status);
  void Refuse(const std::string& why, const std::string& detail);

  EventLoop& loop_;
  Reaper& reaper_;
  std::string path_;
  std::function<void(const Outcome&)> done_;
  pid_t pid_ = 0;
  bool too_slow_ = false;
  UniqueFd output_;
  UniqueFd errors_;
  EventLoop::TimerId timer_ = 0;
};

// Returns only if it could not.
Error Become(const NextProgram& program, const ServerState& state);

// In the program that takes over: what it was left, once, before it has threads or children. Nothing
// if it was started otherwise. Descriptors are close-on-exec again.
Result<std::optional<ServerState>> TakeServerState();

}  // namespace gunid
