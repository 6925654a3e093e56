// The two sides of the shared slots: SlotWriter in a worker, Scoreboard with its readers in the
// supervisor.
#pragma once

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

struct RequestInFlight {
  std::uint64_t start_ns = 0;
  std::string text;  // "GET /path"; "" if it was being written just then
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
  std::vector<RequestInFlight> Requests(int index);
  void Clear(int index);  // of a slot that no living worker owns

 private:
  explicit Scoreboard(SharedMemory memory) : memory_(std::move(memory)) {}
  SharedMemory memory_;
};

// A worker's slot. Engine thread only: plain loads and stores, no locked instruction.
class SlotWriter {
 public:
  explicit SlotWriter(ScoreboardSlot& slot) : slot_(&slot) {}

  void Heartbeat(std::uint64_t now_ns) {
    slot_->heartbeat_ns.store(now_ns, std::memory_order_relaxed);
  }
  void ConnectionAccepted() { Add(slot_->connections, 1); }
  // Returns the entry to hand to EndRequest, -1 if all are taken.
  int BeginRequest(std::string_view method, std::string_view path, std::uint64_t now_ns);
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
