#include "supervisor/memory_sampler.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <utility>

namespace gunid {
namespace {

// A process whose memory map is locked holds up nobody for longer.
constexpr auto kPatience = std::chrono::seconds(1);

MemorySample Read(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  std::ostringstream text;
  text << file.rdbuf();
  return ParseSmapsRollup(text.str());
}

}  // namespace

MemorySample ParseSmapsRollup(const std::string& text) {
  MemorySample sample;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string name;
    std::uint64_t kilobytes = 0;
    if (!(fields >> name >> kilobytes)) continue;
    const std::uint64_t bytes = kilobytes * 1024;
    if (name == "Rss:") sample.rss = bytes;
    if (name == "Pss:") sample.pss = bytes;
    if (name == "Private_Clean:" || name == "Private_Dirty:") sample.unshared += bytes;
  }
  return sample;
}

MemorySampler::~MemorySampler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wanted_.notify_one();
  thread_.reset();
}

void MemorySampler::Sample(const std::vector<int>& pids, Done done) {
  if (HaveFresh(pids)) return done(last_);
  const int id = next_id_++;
  const EventLoop::TimerId late = loop_.RunAfter(kPatience, [this, id] { Answer(id); });
  asked_.emplace(id, Asked{pids, std::move(done), late});
  if (!round_) StartRound();
}

void MemorySampler::Answer(int id) {
  const Asked asked = std::move(asked_.extract(id).mapped());
  loop_.Cancel(asked.late);
  asked.done(last_);
}

bool MemorySampler::HaveFresh(const std::vector<int>& pids) const {
  if (!last_at_ || clock_.Now() - *last_at_ > kFresh) return false;
  return std::ranges::all_of(pids, [this](int pid) { return last_.contains(pid); });
}

void MemorySampler::StartRound() {
  round_ = true;
  round_end_ = next_id_;
  std::vector<int> pids;
  for (const auto& [id, asked] : asked_) {
    pids.insert(pids.end(), asked.pids.begin(), asked.pids.end());
  }
  std::ranges::sort(pids);
  pids.erase(std::ranges::unique(pids).begin(), pids.end());
  {
    const std::lock_guard lock(mutex_);
    pids_ = std::move(pids);
  }
  if (!thread_) thread_.emplace([this] { Run(); });
  wanted_.notify_one();
}

void MemorySampler::EndRound(MemorySamples samples) {
  round_ = false;
  last_ = std::move(samples);
  last_at_ = clock_.Now();
  ++rounds_;
  // What was asked for meanwhile may be of other processes.
  const int end = round_end_;
  while (!asked_.empty() && (asked_.begin()->first < end || HaveFresh(asked_.begin()->second.pids)))
    Answer(asked_.begin()->first);
  if (!round_ && !asked_.empty()) StartRound();
}

void MemorySampler::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wanted_.wait(lock, [this] { return stopping_ || pids_; });
    if (stopping_) return;
    const std::vector<int> pids = *std::exchange(pids_, std::nullopt);
    lock.unlock();
    MemorySamples samples;
    for (const int pid : pids) samples[pid] = Read(pid);
    loop_.Post([this, samples = std::move(samples)]() mutable { EndRound(std::move(samples)); });
    lock.lock();
  }
}

}  // namespace gunid
