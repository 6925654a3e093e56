// What supervisor, zygote and worker say to each other, one message per packet
// (ipc/message_socket.h).
//
//   supervisor -> zygote   LoadRequest (first), ListenersOpened, ForkRequest...; EOF: exit
//   zygote -> supervisor   SettingsLoaded, ZygoteReady, Forked..., or BootFailure and exit
//   supervisor -> worker   Go, once the worker is its child; EOF: the supervisor is dead, exit
//   worker -> supervisor   WorkerReady or BootFailure; RecycleWanted; AcceptingStopped
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "config/settings_loader.h"
#include "ipc/listeners.h"
#include "ipc/message_socket.h"

namespace gunid {

// Numbers at which an exec'ed zygote finds its descriptors.
inline constexpr int kSpawnSocketFd = 3;
inline constexpr int kScoreboardFd = 4;

struct LoadRequest {
  int generation = 0;
  std::vector<SettingsLayer> layers;  // without that of the configuration file
};

// The zygote has read the configuration file. `warnings` were not worth refusing it for.
struct SettingsLoaded {
  std::string settings;  // JSON, as SettingsToJson
  std::vector<std::string> warnings;
};

struct ListenersOpened {
  std::vector<ListenerAddress> addresses;  // descriptors travel beside, in the same order
};

// With --preload the application is imported; the zygote can fork workers.
struct ZygoteReady {};

// Why a zygote or a worker cannot serve. The sender exits with `exit_code` after it.
struct BootFailure {
  int exit_code = 0;
  std::string message;    // one line
  std::string traceback;  // the application's, "" if it is not to blame
};

// One descriptor travels beside: the worker's end of its channel.
struct ForkRequest {
  int worker_id = 0;
  int slot = 0;  // of the scoreboard
};

struct Forked {
  int worker_id = 0;
  int pid = 0;  // -1: fork failed
};

struct Go {};
struct WorkerReady {};

// The worker wants to be replaced and goes on serving until it is told to drain.
struct RecycleWanted {
  std::string reason;  // "max_requests"
};

// The worker drains, because it was told to by the supervisor or by anybody else's SIGTERM: no new
// connection reaches it.
struct AcceptingStopped {};

using Message = std::variant<LoadRequest, SettingsLoaded, ListenersOpened, ZygoteReady, BootFailure,
                             ForkRequest, Forked, Go, WorkerReady, RecycleWanted, AcceptingStopped>;

std::string EncodeMessage(const Message& message);
Result<Message> DecodeMessage(const std::string& bytes);

// Keeps the end of a text that would take more than `size` bytes of a message.
inline constexpr std::size_t kLongestMessage = 8 * 1024;
std::string CutToFit(std::string text, std::size_t size = 64 * 1024);

}  // namespace gunid
