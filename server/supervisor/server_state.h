// All that a supervisor leaves to the program that takes its place in the same process
// (supervisor/upgrade.h): its children and sockets, by their descriptors, and what it remembers. One
// JSON document, in a file in memory. Members may be added: one that the other program does not
// know is ignored, one that it did not write has its default. kFormat is raised when that is not
// enough; then neither program takes over from the other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gunid/reports.h"
#include "supervisor/command.h"
#include "supervisor/generations.h"
#include "supervisor/jobs.h"
#include "supervisor/statistics.h"
#include "supervisor/worker_pool.h"
#include "supervisor/worker_spawner.h"

namespace gunid {

// The program that leaves, for the way back.
struct LeavingProgram {
  std::string version;
  std::string path;
  int fd = -1;
  std::string worker_path;
  int worker_fd = -1;
};

struct ServerState {
  static constexpr int kFormat = 1;

  int format = kFormat;
  LeavingProgram leaving;
  // The program is not new: it has to come back, because its successor has failed for this reason.
  std::optional<ErrorReport> returning;

  std::string directory;               // where gunid was started
  std::vector<int> blocked_signals;    // when it was started: children are started with these
  std::vector<int> inherited_sockets;  // numbers, which stay as they are
  std::vector<int> activated_sockets;

  int scoreboard_fd = -1;
  int handover_sending_fd = -1;
  int handover_receiving_fd = -1;
  ControlSocketState control;
  GenerationsState generations;
  PoolState pool;
  std::vector<ChannelState> channels;
  std::vector<ErrorPipeState> errors;

  std::string pid_file;
  std::int64_t started_ns = 0;  // CLOCK_MONOTONIC
  std::int64_t started_at = 0;  // seconds since the epoch
  std::string last_error;
  int scaled = 0;  // 0: by the settings
  bool reload_wanted = false;
  Statistics statistics;
  JobsState jobs;
  EventsReport events;
  CrashesReport crashes;
  std::vector<std::string> watched_files;
};

std::string EncodeServerState(const ServerState& state);
Result<ServerState> DecodeServerState(const std::string& json);

// All that are in it, each once.
std::vector<int> DescriptorsOf(const ServerState& state);

}  // namespace gunid
