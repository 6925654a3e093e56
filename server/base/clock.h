// Monotonic time. Clock is a seam: tests of back-off and deadlines set the time themselves.
#pragma once

#include <chrono>
#include <cstdint>

namespace gunid {

using Nanoseconds = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Nanoseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint Now() const { return std::chrono::steady_clock::now(); }
};

inline double Seconds(Nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

inline Nanoseconds FromSeconds(double seconds) {
  return std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>(seconds));
}

// CLOCK_MONOTONIC in nanoseconds: the same number in every process of the machine, so it may cross
// the scoreboard.
inline std::uint64_t MonotonicNs() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

// How long ago that was; 0 if `then_ns` is 0, for never, or in the future.
inline Nanoseconds Since(std::uint64_t then_ns, TimePoint now) {
  const auto now_ns = static_cast<std::uint64_t>(now.time_since_epoch().count());
  return then_ns == 0 || then_ns > now_ns ? Nanoseconds(0) : Nanoseconds(now_ns - then_ns);
}

}  // namespace gunid
