// The life of one worker as the supervisor sees it, as a pure function: (state, event) -> (state,
// actions). No clock, no system call; worker_pool.cc carries the actions out.
//
//   spawning --forked--> booting --ready--> ready --drain, drains--> draining --exited--> gone
//   any of these --quit or deadline passed, draining --stuck--> killing --exited--> gone
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace gunid {

enum class WorkerState : std::uint8_t {
  kSpawning,  // asked of the zygote, no process yet
  kBooting,   // the process imports the application
  kReady,     // it serves
  kDraining,  // told to finish what it has; takes nothing new
  kKilling,   // told to go at once, or doomed; a kill follows if it stays
  kGone,
};

enum class WorkerEvent : std::uint8_t {
  kForked,      // the zygote named its pid
  kForkFailed,  // the zygote could not, or died before
  kReady,       // the worker said so
  kBootFailed,  // the worker said so, and exits
  kDrain,       // retire it
  kQuit,        // stop it fast
  kDrains,      // the worker said that it has begun to drain
  kStuck,       // it cannot drain: its event loop stands still
  kDeadline,    // the armed deadline passed
  kHangs,       // it was over its boot deadline, and its stacks were dumped
  kExited,
};

enum class WorkerAction : std::uint8_t {
  kNone,
  kSendGo,
  kSendTerm,
  kSendQuit,
  kSendKill,
  kArmBootDeadline,
  kArmDrainDeadline,
  kArmKillDeadline,
  kDisarm,
  kDumpStacks,  // kHangs follows
  kReportReady,
  kReportBootFailure,
  kReportCrash,
};

struct WorkerTransition {
  WorkerState next;
  std::array<WorkerAction, 3> actions{};  // in order, padded with kNone
};

WorkerTransition NextWorkerState(WorkerState state, WorkerEvent event);

// As the API writes it: "spawning", "booting", ...
std::string_view WorkerStateName(WorkerState state);

// Why a worker went or goes: a closed list, the same word in log, events, API and statistics.
enum class StopReason : std::uint8_t {
  kNone,
  kMaxRequests,
  kMemory,
  kLifetime,
  kScaleDown,
  kReload,
  kRollback,
  kRestart,
  kTimeout,
  kShutdown,
  kOperator,  // somebody else sent it SIGTERM or SIGKILL
  kBootFailure,
  kOom,    // the kernel killed it for want of memory
  kCrash,  // it ended by itself, or by any other signal
};

std::string_view StopReasonName(StopReason reason);

}  // namespace gunid
