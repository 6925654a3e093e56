// The memory that gunid and its workers share: a header and one slot per worker. It crosses a
// process border, and one day the border between two versions of gunid, so its layout is fixed,
// checked at attach, and made of lock-free atomics only.
//
// Each slot has one writer, the thread that leads the engine of the worker that owns it (and while a
// request runs, the thread that runs it for its start_ns); the supervisor only reads it, and clears it when no
// worker owns it. All times are CLOCK_MONOTONIC in nanoseconds.
#pragma once

#include <atomic>
#include <cstdint>

namespace gunid {

inline constexpr std::uint64_t kScoreboardMagic = 0x31424f5344494e47;  // "GNIDSOB1"
inline constexpr std::uint32_t kScoreboardVersion = 2;
inline constexpr int kMaxInFlight = 1024;  // requests of one worker: all are shown in its slot

using SharedCounter = std::atomic<std::uint64_t>;
static_assert(SharedCounter::is_always_lock_free);

inline constexpr int kClientWords = 6;
inline constexpr int kTextWords = 21;

// One request in flight. `sequence` is odd while the engine writes what follows start_ns; a reader
// retries or gives up.
struct alignas(128) InFlightEntry {
  SharedCounter sequence;
  SharedCounter start_ns;   // when it was handed to the application; 0: the entry is free
  SharedCounter serial;     // its number in the worker, from 1
  SharedCounter thread;     // pthread_self() of the one that runs it; faulthandler's name for it
  SharedCounter thread_id;  // gettid() of that
  SharedCounter client[kClientWords];  // numeric address, NUL-terminated
  SharedCounter text[kTextWords];      // "METHOD PATH", NUL-terminated, cut to fit
};
static_assert(sizeof(InFlightEntry) == 256);

struct alignas(128) ScoreboardSlot {
  SharedCounter heartbeat_ns;  // the last turn of the event loop; 0 before the first
  SharedCounter requests;      // handed to the application
  SharedCounter in_flight;
  SharedCounter server_errors;  // responses with a 5xx status
  SharedCounter bytes_sent;
  SharedCounter connections;  // accepted
  alignas(128) InFlightEntry entries[kMaxInFlight];
};
static_assert(sizeof(ScoreboardSlot) == 128 + sizeof(InFlightEntry) * kMaxInFlight);

struct alignas(128) ScoreboardHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t slot_count;
  std::uint64_t slot_size;
};
static_assert(sizeof(ScoreboardHeader) == 128);

}  // namespace gunid
