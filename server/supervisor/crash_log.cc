#include "supervisor/crash_log.h"

#include <chrono>
#include <utility>

#include "supervisor/rfc3339.h"

namespace gunid {

void CrashLog::Add(CrashReport crash) {
  crash.time = Rfc3339Milliseconds(std::chrono::system_clock::now());
  crashes_.push_front(std::move(crash));
  if (crashes_.size() > kMost) crashes_.pop_back();
}

CrashesReport CrashLog::Report() const {
  return {{crashes_.begin(), crashes_.end()}};
}

}  // namespace gunid
