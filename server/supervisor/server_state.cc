#include "supervisor/server_state.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "ipc/listener_address_json.h"

namespace gunid {

using Json = nlohmann::json;

namespace {

// Enumerations are written by the names that the API has for them.
template <class Enum>
Enum EnumOf(const Json& name, std::string_view (*name_of)(Enum), Enum last) {
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (name == name_of(static_cast<Enum>(i))) return static_cast<Enum>(i);
  }
  return last;
}

}  // namespace

void to_json(Json& json, WorkerState state) {
  json = WorkerStateName(state);
}
void from_json(const Json& json, WorkerState& state) {
  state = EnumOf(json, WorkerStateName, WorkerState::kGone);
}
void to_json(Json& json, StopReason reason) {
  json = StopReasonName(reason);
}
void from_json(const Json& json, StopReason& reason) {
  reason = EnumOf(json, StopReasonName, StopReason::kCrash);
}
void to_json(Json& json, JobState state) {
  json = JobStateName(state);
}
void from_json(const Json& json, JobState& state) {
  state = EnumOf(json, JobStateName, JobState::kFailed);
}
void to_json(Json& json, CommandId id) {
  json = RowOf(id).name;
}
// One that this program does not know is shown as a stop: it has ended long since.
void from_json(const Json& json, CommandId& id) {
  id = EnumOf<CommandId>(
      json, [](CommandId known) { return RowOf(known).name; }, CommandId::kStop);
}

}  // namespace gunid

// Times are CLOCK_MONOTONIC's, in nanoseconds: the machine's, so they mean the same to the next
// program.
template <>
struct nlohmann::adl_serializer<gunid::TimePoint> {
  static void to_json(json& json, const gunid::TimePoint& time) {
    json = time.time_since_epoch().count();
  }
  static void from_json(const json& json, gunid::TimePoint& time) {
    time = gunid::TimePoint(gunid::Nanoseconds(json.get<std::int64_t>()));
  }
};

template <class Value>
struct nlohmann::adl_serializer<std::optional<Value>> {
  static void to_json(json& json, const std::optional<Value>& value) {
    json = value ? nlohmann::json(*value) : nlohmann::json();
  }
  static void from_json(const json& json, std::optional<Value>& value) {
    value = json.is_null() ? std::nullopt : std::optional(json.get<Value>());
  }
};

namespace gunid {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(WorkerHandle, id, slot, generation, pid, state,
                                                surge, expiring, recycle, accepting, reason,
                                                created, killed_stuck, deadline, lifetime_end)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(PoolState, wanted, generation, next_id, workers)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ChannelState, worker, pid, socket_fd, stack_fd,
                                                stack_thread, greenlets)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ErrorPipeState, worker, fd)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ZygoteState, pid, socket_fd, stack_fd)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ListenerSetsState::Socket, wanted, bound, fd,
                                                inherited, device, inode)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ListenerSetsState, sockets, sets)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(GenerationState, number, settings, zygote)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(GenerationsState, last_number, generations,
                                                listeners)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Job, id, command, started, started_at, state, ended,
                                                message, detail)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(JobsState, last_id, jobs)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(SlotCounters, requests, server_errors, bytes_sent,
                                                connections)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Statistics, of_gone_workers, workers_spawned,
                                                workers_exited, workers_crashed, reloads,
                                                reloads_failed, timeouts, stops)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ControlSocketState, path, fd, device, inode)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(LeavingProgram, version, path, fd, worker_path,
                                                worker_fd)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(
    ServerState, format, leaving, returning, directory, blocked_signals, inherited_sockets,
    activated_sockets, scoreboard_fd, handover_sending_fd, handover_receiving_fd, control,
    generations, pool, channels, errors, pid_file, started_ns, started_at, last_error, scaled,
    reload_wanted, statistics, jobs, events, crashes, watched_files)

std::string EncodeServerState(const ServerState& state) {
  return Json(state).dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<ServerState> DecodeServerState(const std::string& json) {
  try {
    const Json document = Json::parse(json);
    const int format = document.at("format").get<int>();
    if (format != ServerState::kFormat) {
      return Error{"the state of the running program has format " + std::to_string(format) +
                   ", this one knows " + std::to_string(ServerState::kFormat) +
                   ": a restart is needed"};
    }
    return document.get<ServerState>();
  } catch (const Json::exception& exception) {
    return Error{std::string("the state of the running program cannot be read: ") +
                 exception.what()};
  }
}

std::vector<int> DescriptorsOf(const ServerState& state) {
  std::vector<int> fds{state.leaving.fd,          state.leaving.worker_fd,     state.scoreboard_fd,
                       state.handover_sending_fd, state.handover_receiving_fd, state.control.fd};
  for (const auto& socket : state.generations.listeners.sockets) fds.push_back(socket.fd);
  for (const auto& generation : state.generations.generations) {
    fds.push_back(generation.zygote.socket_fd);
    fds.push_back(generation.zygote.stack_fd);
  }
  for (const ChannelState& channel : state.channels) {
    fds.push_back(channel.socket_fd);
    fds.push_back(channel.stack_fd);
  }
  for (const ErrorPipeState& pipe : state.errors) fds.push_back(pipe.fd);
  fds.insert(fds.end(), state.inherited_sockets.begin(), state.inherited_sockets.end());
  std::ranges::sort(fds);
  const auto repeated = std::ranges::unique(fds);
  fds.erase(repeated.begin(), repeated.end());
  std::erase(fds, -1);
  return fds;
}

}  // namespace gunid
