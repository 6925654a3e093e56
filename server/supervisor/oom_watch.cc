#include "supervisor/oom_watch.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace gunid {
namespace {

std::optional<std::uint64_t> ReadCount(const std::string& path) {
  std::ifstream file(path);
  std::string name;
  std::uint64_t count = 0;
  while (file >> name >> count) {
    if (name == "oom_kill") return count;
  }
  return std::nullopt;
}

// Where the counter may be, the best first. The directory of a cgroup is below its mount, or the
// mount itself where a container sees nothing else.
std::vector<std::string> CounterFiles(const std::string& root) {
  std::vector<std::string> candidates;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // "0::/path" of version 2, "4:memory:/path" of version 1
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") {
      for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
        candidates.push_back(root + mount + path + "/memory.events");
      }
      candidates.push_back(root + "/sys/fs/cgroup/memory.events");
    } else if (controllers.find(",memory,") != std::string::npos) {
      candidates.push_back(root + "/sys/fs/cgroup/memory" + path + "/memory.oom_control");
      candidates.push_back(root + "/sys/fs/cgroup/memory/memory.oom_control");
    }
  }
  candidates.push_back(root + "/proc/vmstat");
  return candidates;
}

}  // namespace

OomWatch::OomWatch(const std::string& root) {
  for (const std::string& candidate : CounterFiles(root)) {
    if (!ReadCount(candidate)) continue;
    file_ = candidate;
    seen_ = taken_ = Count();
    return;
  }
}

std::uint64_t OomWatch::Count() const {
  return file_.empty() ? 0 : ReadCount(file_).value_or(0);
}

void OomWatch::ForgetOldKills() {
  taken_ = std::max(taken_, seen_);
  seen_ = Count();
}

bool OomWatch::TakeKill() {
  const std::uint64_t count = Count();
  if (count <= taken_) {
    taken_ = count;  // a counter of another cgroup, if we were moved
    return false;
  }
  ++taken_;
  return true;
}

}  // namespace gunid
