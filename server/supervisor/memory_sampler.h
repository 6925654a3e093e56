// How much memory workers have, from /proc/PID/smaps_rollup: the kernel walks all pages of a process
// for that, milliseconds for a big one, so it is read on a thread of its own. The thread is started
// with the first sample; all else is the supervisor's loop thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/background_thread.h"
#include "base/event_loop.h"

namespace gunid {

// In bytes. All 0 for a process that is gone, or may not be looked at.
struct MemorySample {
  std::uint64_t rss = 0;
  std::uint64_t pss = 0;       // a page that N processes share counts as 1/N of it
  std::uint64_t unshared = 0;  // what would be free without the process
};

// `text`: of /proc/PID/smaps_rollup.
MemorySample ParseSmapsRollup(const std::string& text);

using MemorySamples = std::map<int, MemorySample>;  // by pid

class MemorySampler {
 public:
  // Samples that are younger are used again: whoever asks often costs nothing.
  static constexpr Nanoseconds kFresh = std::chrono::milliseconds(500);

  using Done = std::function<void(const MemorySamples&)>;

  MemorySampler(EventLoop& loop, const Clock& clock) : loop_(loop), clock_(clock) {}
  ~MemorySampler();
  MemorySampler(const MemorySampler&) = delete;
  MemorySampler& operator=(const MemorySampler&) = delete;

  // `done` is called once: now, if there are fresh samples of all those processes, or else with the
  // samples of this round or the next, or after a second with what is known. It must not block.
  void Sample(const std::vector<int>& pids, Done done);
  // How many there have been: the samples are new ones when it has grown.
  [[nodiscard]] int rounds() const { return rounds_; }

 private:
  struct Asked {
    std::vector<int> pids;
    Done done;
    EventLoop::TimerId late = 0;
  };

  [[nodiscard]] bool HaveFresh(const std::vector<int>& pids) const;
  void Answer(int id);
  void StartRound();
  void EndRound(MemorySamples samples);
  void Run();  // the thread

  EventLoop& loop_;
  const Clock& clock_;
  std::map<int, Asked> asked_;  // by an id of their own, so in their order
  int next_id_ = 1;
  bool round_ = false;  // under way
  int round_end_ = 0;   // it is for those with ids below
  int rounds_ = 0;
  MemorySamples last_;
  std::optional<TimePoint> last_at_;

  std::mutex mutex_;
  std::condition_variable wanted_;
  std::optional<std::vector<int>> pids_;  // guarded by mutex_: of the round that is to be
  bool stopping_ = false;                 // guarded by mutex_
  std::optional<BackgroundThread> thread_;
};

}  // namespace gunid
