// The last workers that ended, or could not begin, without anybody having told them to: for the
// operator who comes later. Supervisor's loop thread.
#pragma once

#include <deque>

#include "gunid/reports.h"

namespace gunid {

class CrashLog {
 public:
  static constexpr std::size_t kMost = 20;

  // Those of the program whose place this one takes.
  void Adopt(const CrashesReport& crashes) {
    crashes_.assign(crashes.crashes.begin(), crashes.crashes.end());
  }
  // `crash` without its time.
  void Add(CrashReport crash);

  // The last one first.
  [[nodiscard]] CrashesReport Report() const;

 private:
  std::deque<CrashReport> crashes_;
};

}  // namespace gunid
