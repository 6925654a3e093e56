// How long to wait before a worker (or a zygote) is started again after one failed: the first is
// replaced at once, then 0.5 s, 1 s, 2 s ... up to 30 s. A minute without a failure starts over.
// Pure: the caller brings the time.
#pragma once

#include "base/clock.h"

namespace gunid {

class Backoff {
 public:
  void Failed(TimePoint now);
  void Reset() { failures_ = 0; }

  // When the next start is allowed.
  [[nodiscard]] TimePoint allowed_at() const;
  // One failure follows the other: it is more than an accident.
  [[nodiscard]] bool looping(TimePoint now) const;
  [[nodiscard]] int failures() const { return failures_; }

 private:
  int failures_ = 0;
  TimePoint last_failure_{};
};

}  // namespace gunid
