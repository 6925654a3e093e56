// What supervisor, zygote and worker say to each other, one message per packet
// (ipc/message_socket.h).
//
//   supervisor -> zygote   LoadRequest (first), ListenersOpened, ForkRequest...; EOF: exit
//   zygote -> supervisor   SettingsLoaded, ZygoteReady, Forked..., or BootFailure and exit; FilesLoaded
//   supervisor -> worker   Go, once the worker is its child; CancelRequest, AbandonRequest,
//                          StacksWanted; EOF: the supervisor is dead, exit
//   worker -> supervisor   WorkerReady or BootFailure; RecycleWanted; AcceptingStopped;
//                          StacksWritten; FilesLoaded
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
// A file in memory, of each zygote and worker its own, open for appending: there goes what is asked
// for by kStackSignal, and with StacksWanted. The supervisor empties it before, and reads it after.
inline constexpr int kStackFd = 5;
// The two ends of the supervisor's Handover.
inline constexpr int kHandoverSendingFd = 6;
inline constexpr int kHandoverReceivingFd = 7;

// SIGRTMIN + this number: faulthandler writes the Python stacks of all threads to kStackFd, whatever
// the process is doing.
inline constexpr int kStackSignal = 2;

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
  std::vector<bool> outlive_server;        // likewise; see Listener
};

// With --preload the application is imported; the zygote can fork workers.
struct ZygoteReady {};

// Why a zygote or a worker cannot serve. The sender exits with `exit_code` after it.
struct BootFailure {
  int exit_code = 0;
  std::string message;    // one line
  std::string traceback;  // the application's, "" if it is not to blame
};

// Descriptors travel beside: the worker's end of its channel, its stack file, and its standard error,
// if that is not to be the zygote's.
struct ForkRequest {
  int worker_id = 0;
  int slot = 0;  // of the scoreboard
};

struct Forked {
  int worker_id = 0;
  int pid = 0;  // -1: fork failed
};

struct Go {};

// `stack_thread`: gettid() of the thread that answers kStackSignal best: it would interrupt what the
// others call in C.
struct WorkerReady {
  int stack_thread = 0;
};

// Requests are named by their serial in the worker. One that has ended meanwhile is ignored.

// Raise gunid.RequestTimeout in the thread or greenlet that runs it.
struct CancelRequest {
  std::uint64_t serial = 0;
};

// It does not end: the client gets a 504, and a drain does not wait for it.
struct AbandonRequest {
  std::uint64_t serial = 0;
};

// Write the stacks of all greenlets to kStackFd, one block each like faulthandler's, headed
// "Greenlet 0x... (request SERIAL) (most recent call first):". Answered by StacksWritten, unless the
// worker has no greenlets or one of them holds up the others.
struct StacksWanted {};
struct StacksWritten {};

// The worker wants to be replaced and goes on serving until it is told to drain.
struct RecycleWanted {
  std::string reason;  // "max_requests"
};

// The worker drains, because it was told to by the supervisor or by anybody else's SIGTERM: no new
// connection reaches it.
struct AcceptingStopped {};

// Only with --reload: files of modules that were loaded since the last one, or before a BootFailure.
struct FilesLoaded {
  std::vector<std::string> files;
};
// As many as a packet each bears.
std::vector<FilesLoaded> SplitIntoPackets(const std::vector<std::string>& files);

using Message =
    std::variant<LoadRequest, SettingsLoaded, ListenersOpened, ZygoteReady, BootFailure,
                 ForkRequest, Forked, Go, WorkerReady, RecycleWanted, AcceptingStopped,
                 CancelRequest, AbandonRequest, StacksWanted, StacksWritten, FilesLoaded>;

std::string EncodeMessage(const Message& message);
Result<Message> DecodeMessage(const std::string& bytes);

// Keeps the end of a text that would take more than `size` bytes of a message.
inline constexpr std::size_t kLongestMessage = 8 * 1024;
std::string CutToFit(std::string text, std::size_t size = 64 * 1024);

}  // namespace gunid
