// Decides what --max-worker-memory means for a worker, from one sample of its memory after the other.
// A worker that is over the limit before it has served anything is not replaced: another would be no
// smaller. It may grow to twice what it began with. Pure; supervisor's loop thread.
#pragma once

#include <cstdint>
#include <map>

namespace gunid {

class MemoryWatch {
 public:
  enum class Verdict : std::uint8_t {
    kNothing,
    kTooLow,   // over the limit before it has served anything: the limit is too low
    kRecycle,  // over the limit for a while: it goes when a replacement is ready
    kExpel,    // far over it: it goes now
  };

  // Garbage that is about to be collected, or one large answer, is no reason.
  static constexpr int kSamplesOver = 3;
  static constexpr int kSamplesFarOver = 2;
  static constexpr double kHardFactor = 1.25;

  // `bytes`: its PSS; `limit` > 0. `unused`: it has served nothing yet. kTooLow and kRecycle are given
  // once, kExpel until it is gone.
  Verdict Sampled(int worker, std::uint64_t bytes, std::uint64_t limit, bool unused);
  void Forget(int worker) { seen_.erase(worker); }

 private:
  struct Seen {
    int over = 0;             // samples in a row
    int far_over = 0;         // likewise
    std::uint64_t begun = 0;  // what it had before it served anything
    Verdict given = Verdict::kNothing;
  };

  std::map<int, Seen> seen_;  // by worker
};

}  // namespace gunid
