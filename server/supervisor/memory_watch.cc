#include "supervisor/memory_watch.h"

namespace gunid {

MemoryWatch::Verdict MemoryWatch::Sampled(int worker, std::uint64_t bytes, std::uint64_t limit,
                                          bool unused) {
  Seen& seen = seen_[worker];
  if (unused) seen.begun = bytes;
  const bool began_over = seen.begun > limit;
  const std::uint64_t allowed = began_over ? 2 * seen.begun : limit;
  const bool far = static_cast<double>(bytes) > kHardFactor * static_cast<double>(allowed);
  seen.over = bytes > allowed ? seen.over + 1 : 0;
  seen.far_over = far ? seen.far_over + 1 : 0;
  if (seen.far_over >= kSamplesFarOver) return Verdict::kExpel;
  Verdict verdict = seen.over >= kSamplesOver ? Verdict::kRecycle : Verdict::kNothing;
  if (verdict == Verdict::kNothing && began_over) verdict = Verdict::kTooLow;
  if (verdict <= seen.given) return Verdict::kNothing;
  seen.given = verdict;
  return verdict;
}

}  // namespace gunid
