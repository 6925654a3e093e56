#include "supervisor/memory_watch.h"

namespace gunid {

MemoryWatch::Verdict MemoryWatch::Sampled(int worker, std::uint64_t bytes, std::uint64_t limit) {
  Seen& seen = seen_[worker];
  seen.over = bytes > limit ? seen.over + 1 : 0;
  Verdict verdict = seen.over >= kSamplesOver ? Verdict::kRecycle : Verdict::kNothing;
  if (static_cast<double>(bytes) > kHardFactor * static_cast<double>(limit))
    verdict = Verdict::kExpel;
  if (verdict <= seen.given) return Verdict::kNothing;
  seen.given = verdict;
  return verdict;
}

}  // namespace gunid
