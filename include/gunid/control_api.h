// The control API: one row per command, read by both ends. The server makes its routes from it,
// gunictl its commands.
//
// HTTP/1.1 with JSON over a Unix socket. GET reads and never changes; POST acts. An error is
// {"error": {"code": ..., "message": ..., "detail": ...}} with a fitting status, and nothing was
// changed.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace gunid {

enum class CommandId {
  kStatus,
  kReady,
  kStats,
  kWorkers,
  kRequests,
  kEvents,
  kCrashes,
  kJob,
  kStack,
  kScale,
  kReload,
  kRollback,
  kRestart,
  kUpgrade,
  kCancel,
  kStop,
};

// What a command's argument is. That of a POST is a member of the JSON object, that of a GET is in
// the query.
enum class ArgumentKind {
  kNone,
  kWorkerCount,  // kMinWorkers..kMaxWorkers
  kWorker,       // the id or pid of a worker
  kRequest,      // the id of a request, "WORKER-SERIAL", as in RequestReport
  kAfterEvent,   // may be left out: the id of the last event that is known, 0 for none
  kJob,          // the id of a job
};

struct CommandRow {
  CommandId id;
  std::string_view name;    // gunictl NAME
  std::string_view method;  // "GET" or "POST"
  std::string_view path;
  std::string_view argument;  // its name, "" for none
  ArgumentKind kind;
  std::string_view help;
  bool waits;  // the answer comes when the operation has ended, or there is something to tell
  // The operation is a job, which goes on whoever waits for it. The JSON object may have a member
  // "wait": false; then the answer comes at once, and is the job (202).
  bool job = false;
};

// Smallest and largest number of workers that may be asked for, by -w and by scale.
inline constexpr int kMinWorkers = 1;
inline constexpr int kMaxWorkers = 512;

inline constexpr std::array kCommands = {
    CommandRow{CommandId::kStatus, "status", "GET", "/v1/status", "", ArgumentKind::kNone,
               "Show what the server is doing", false},
    CommandRow{CommandId::kReady, "ready", "GET", "/v1/ready", "", ArgumentKind::kNone,
               "Tell whether the server takes requests: 200, or an error while it starts or stops",
               false},
    CommandRow{CommandId::kStats, "stats", "GET", "/v1/stats", "", ArgumentKind::kNone,
               "Show counters: the server's and each worker's", false},
    CommandRow{CommandId::kWorkers, "workers", "GET", "/v1/workers", "", ArgumentKind::kNone,
               "List the workers", false},
    CommandRow{CommandId::kRequests, "requests", "GET", "/v1/requests", "", ArgumentKind::kNone,
               "List the requests in flight, the oldest first", false},
    CommandRow{CommandId::kEvents, "events", "GET", "/v1/events", "after",
               ArgumentKind::kAfterEvent,
               "Show the last events; with the id of one, wait for what comes after it", true},
    CommandRow{CommandId::kCrashes, "crashes", "GET", "/v1/crashes", "", ArgumentKind::kNone,
               "Show the last workers that died or could not start, and what they were doing",
               false},
    CommandRow{CommandId::kJob, "job", "GET", "/v1/job", "job", ArgumentKind::kJob,
               "Show what became of a command that was given with --no-wait", false},
    CommandRow{CommandId::kStack, "stack", "GET", "/v1/stack", "worker", ArgumentKind::kWorker,
               "Print the Python stacks of all threads of a worker, whatever it is doing", false},
    CommandRow{CommandId::kScale, "scale", "POST", "/v1/scale", "workers",
               ArgumentKind::kWorkerCount,
               "Set the number of workers and wait until they are ready", true, true},
    CommandRow{CommandId::kReload, "reload", "POST", "/v1/reload", "", ArgumentKind::kNone,
               "Load code and configuration anew and replace the workers, or keep the old ones if "
               "that fails",
               true, true},
    CommandRow{CommandId::kRollback, "rollback", "POST", "/v1/rollback", "", ArgumentKind::kNone,
               "Go back to the generation that served before", true, true},
    CommandRow{CommandId::kRestart, "restart", "POST", "/v1/restart", "", ArgumentKind::kNone,
               "Replace every worker by a fresh one of the same generation", true, true},
    CommandRow{CommandId::kUpgrade, "upgrade", "POST", "/v1/upgrade", "", ArgumentKind::kNone,
               "Replace the running program by the one that is installed now; the answer is always "
               "a job",
               true, true},
    CommandRow{CommandId::kCancel, "cancel", "POST", "/v1/cancel", "request",
               ArgumentKind::kRequest,
               "End one request as its deadline would: gunid.RequestTimeout is raised in it", true},
    CommandRow{CommandId::kStop, "stop", "POST", "/v1/stop", "", ArgumentKind::kNone,
               "Finish the requests in flight, then stop the server", true},
};

constexpr const CommandRow& RowOf(CommandId id) {
  return kCommands[static_cast<std::size_t>(id)];
}

static_assert(
    [] {
      for (std::size_t i = 0; i < kCommands.size(); ++i) {
        if (kCommands[i].id != static_cast<CommandId>(i)) return false;
      }
      return true;
    }(),
    "rows are in the order of the enumeration");

}  // namespace gunid
