// The two sides of the shared slots: SlotWriter in a worker, Scoreboard with its readers in the
// supervisor.
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/shared_memory.h"
#include "ipc/scoreboard_layout.h"

namespace gunid {

struct SlotCounters {
  std::uint64_t requests = 0;
  std::uint64_t server_errors = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t connections = 0;

  SlotCounters& operator+=(const SlotCounters& other);
};

// A request that a worker has handed to its application. The texts are "" if they were being written
// just then.
struct RequestInFlight {
  std::uint64_t start_ns = 0;
  std::uint64_t serial = 0;
  std::uint64_t thread = 0;  // as faulthandler names it
  int thread_id = 0;         // as the system does
  std::string client;        // "" for a Unix socket
  std::string text;          // "GET /path"
};

class Scoreboard {
 public:
  static Result<Scoreboard> Create(int slot_count);  // supervisor
  static Result<Scoreboard> Attach(UniqueFd fd);     // zygote, whose workers inherit the mapping

  [[nodiscard]] int slot_count() const;
  [[nodiscard]] int fd() const { return memory_.fd(); }
  ScoreboardSlot& slot(int index);

  // Supervisor only.
  SlotCounters Counters(int index);
  std::uint64_t Heartbeat(int index);
  int InFlight(int index);
  // Those that started before `started_before`, in nanoseconds.
  std::vector<RequestInFlight> Requests(
      int index, std::uint64_t started_before = std::numeric_limits<std::uint64_t>::max());
  void Clear(int index);  // of a slot that no living worker owns

 private:
  explicit Scoreboard(SharedMemory memory) : memory_(std::move(memory)) {}
  SharedMemory memory_;
};

// What is shown of a request that begins.
struct RequestStart {
  std::string_view method;
  std::string_view path;
  std::string_view client;
  std::uint64_t serial = 0;
  std::uint64_t now_ns = 0;
};

// A worker's slot. Leading thread only: plain loads and stores, no locked instruction.
class SlotWriter {
 public:
  explicit SlotWriter(ScoreboardSlot& slot) : slot_(&slot) {}

  void Heartbeat(std::uint64_t now_ns) {
    slot_->heartbeat_ns.store(now_ns, std::memory_order_relaxed);
  }
  void ConnectionAccepted() { Add(slot_->connections, 1); }
  // By the thread that is to run the request. Returns the entry to hand to EndRequest, -1 if all are
  // taken.
  int BeginRequest(const RequestStart& request);
  // By the thread that runs the request, between the two: that time is not the application's, and
  // is left out of its age.
  void PostponeRequest(int entry, std::uint64_t by_ns);
  void EndRequest(int entry, int status, std::uint64_t bytes_sent);

 private:
  static void Add(SharedCounter& counter, std::uint64_t amount) {
    counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

  ScoreboardSlot* slot_;
  std::uint64_t taken_[kMaxInFlight / 64] = {};  // bit set: entry in use
};

}  // namespace gunid
