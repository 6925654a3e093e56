// The control API: one row per command, read by both ends. The server makes its routes from it,
// gunictl its commands.
//
// HTTP/1.1 with JSON over a Unix socket. GET reads and never changes; POST acts. An error is
// {"error": {"code": ..., "message": ..., "detail": ...}} with a fitting status, and nothing was
// changed.
#pragma once

#include <array>
#include <string_view>

namespace gunid {

enum class CommandId { kStatus, kStats, kWorkers, kScale, kReload, kRestart, kStop };

struct CommandRow {
  CommandId id;
  std::string_view name;    // gunictl NAME
  std::string_view method;  // "GET" or "POST"
  std::string_view path;
  std::string_view
      argument;  // name of the one integer argument, "" for none; a member of the POSTed object
  std::string_view help;
  bool waits;  // the answer comes when the operation has ended
};

// Smallest and largest number of workers that may be asked for, by -w and by scale.
inline constexpr int kMinWorkers = 1;
inline constexpr int kMaxWorkers = 512;

inline constexpr std::array kCommands = {
    CommandRow{CommandId::kStatus, "status", "GET", "/v1/status", "",
               "Show what the server is doing", false},
    CommandRow{CommandId::kStats, "stats", "GET", "/v1/stats", "",
               "Show counters: the server's and each worker's", false},
    CommandRow{CommandId::kWorkers, "workers", "GET", "/v1/workers", "", "List the workers", false},
    CommandRow{CommandId::kScale, "scale", "POST", "/v1/scale", "workers",
               "Set the number of workers and wait until they are ready", true},
    CommandRow{CommandId::kReload, "reload", "POST", "/v1/reload", "",
               "Load code and configuration anew and replace the workers, or keep the old ones if "
               "that fails",
               true},
    CommandRow{CommandId::kRestart, "restart", "POST", "/v1/restart", "",
               "Replace every worker by a fresh one of the same generation", true},
    CommandRow{CommandId::kStop, "stop", "POST", "/v1/stop", "",
               "Finish the requests in flight, then stop the server", true},
};

}  // namespace gunid
