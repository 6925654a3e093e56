// Decides what --max-worker-memory means for a worker, from one sample of its memory after the other.
// Pure; supervisor's loop thread.
#pragma once

#include <cstdint>
#include <map>

namespace gunid {

class MemoryWatch {
 public:
  enum class Verdict : std::uint8_t {
    kNothing,
    kRecycle,  // over the limit for a while: it goes when a replacement is ready
    kExpel,    // far over it: it goes now
  };

  // Garbage that is about to be collected, or one large answer, is no reason.
  static constexpr int kSamplesOver = 3;
  static constexpr double kHardFactor = 1.25;

  // `bytes`: its PSS; `limit` > 0. Each verdict but kNothing is given once.
  Verdict Sampled(int worker, std::uint64_t bytes, std::uint64_t limit);
  void Forget(int worker) { seen_.erase(worker); }

 private:
  struct Seen {
    int over = 0;  // samples in a row
    Verdict given = Verdict::kNothing;
  };

  std::map<int, Seen> seen_;  // by worker
};

}  // namespace gunid
