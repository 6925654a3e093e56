#include "supervisor/backoff.h"

#include <algorithm>

namespace gunid {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Nanoseconds kFirstDelay = milliseconds(500);
constexpr Nanoseconds kLongestDelay = seconds(30);
constexpr Nanoseconds kForgetAfter = seconds(60);
constexpr int kLoop = 3;  // failures

}  // namespace

void Backoff::Failed(TimePoint now) {
  if (failures_ > 0 && now - last_failure_ > kForgetAfter) failures_ = 0;
  ++failures_;
  last_failure_ = now;
}

TimePoint Backoff::allowed_at() const {
  if (failures_ < 2) return last_failure_;
  const int doublings = std::min(failures_ - 2, 10);
  return last_failure_ + std::min(kLongestDelay, kFirstDelay * (1 << doublings));
}

bool Backoff::looping(TimePoint now) const {
  return failures_ >= kLoop && now - last_failure_ <= kForgetAfter;
}

}  // namespace gunid
