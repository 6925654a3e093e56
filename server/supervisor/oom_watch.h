// Tells a worker that the kernel has killed for want of memory from one that somebody has killed by
// hand: the counter `oom_kill` of the supervisor's memory cgroup, which its workers share, has gone
// up since it was last read. Without such a cgroup it is the counter of the whole machine.
// Supervisor's loop thread. cgroups(7), Documentation/admin-guide/cgroup-v2.rst.
#pragma once

#include <cstdint>
#include <string>

namespace gunid {

class OomWatch {
 public:
  // `root`: in front of /proc and /sys.
  explicit OomWatch(const std::string& root = "");

  // A process has died of SIGKILL. True once for each kill that the kernel has counted.
  bool TakeKill();
  // Kills that were counted before the last call, and not taken, were of other processes. To be called
  // from time to time: what the kernel kills may take a while to die.
  void ForgetOldKills();

  [[nodiscard]] const std::string& file() const { return file_; }  // "" if nothing counts

 private:
  [[nodiscard]] std::uint64_t Count() const;

  std::string file_;  // with a line "oom_kill NUMBER"
  std::uint64_t taken_ = 0;
  std::uint64_t seen_ = 0;  // by the last ForgetOldKills
};

}  // namespace gunid
