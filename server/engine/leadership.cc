#include "engine/leadership.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <ctime>

namespace gunid {
namespace {

constexpr Nanoseconds kMostPatience = std::chrono::milliseconds(2);

// The CPU time of a thread that lives.
Nanoseconds ComputedBy(pthread_t thread) {
  clockid_t clock{};
  timespec time{};
  if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &time) != 0) return {};
  return std::chrono::seconds(time.tv_sec) + Nanoseconds(time.tv_nsec);
}

}  // namespace

Nanoseconds NextPatience(Nanoseconds base, Nanoseconds patience, std::uint64_t calls,
                         Nanoseconds computed) {
  const bool computes = computed >= patience * 3 / 4;
  const bool short_calls = base * calls >= patience;
  if (!computes || !short_calls) return base;
  return std::min(2 * patience, std::max(base, kMostPatience));
}

Leadership::Departure Leadership::Leave() {
  leader_.store(pthread_self(), std::memory_order_relaxed);
  const std::uint64_t word =
      ((word_.load(std::memory_order_relaxed) | kAway) + 1) | kAway;  // the next number
  Departure departure{word};
  if (ExpectsLongCall()) {
    departure.hurried_at = Clock().Now();
    hurried_.store(word, std::memory_order_relaxed);
  }
  // In one order with the watch's going to sleep: either it sees the word, or we see it asleep.
  word_.store(word, std::memory_order_seq_cst);
  if (departure.hurried_at != TimePoint() || watch_sleeps_.load(std::memory_order_seq_cst)) {
    WakeWatch();
  }
  return departure;
}

bool Leadership::Return(const Departure& departure) {
  std::uint64_t expected = departure.word;
  const bool leads = word_.compare_exchange_strong(
      expected, departure.word & ~kAway, std::memory_order_acq_rel, std::memory_order_relaxed);
  const bool hurried = departure.hurried_at != TimePoint();
  Remember(hurried ? Clock().Now() - departure.hurried_at >= patience_ : !leads);
  return leads;
}

bool Leadership::ExpectsLongCall() const {
  const std::uint32_t recent = recent_long_.load(std::memory_order_relaxed);
  return std::popcount(recent) > static_cast<int>(kRecentCalls) / 2;
}

// Two threads may do so at a time, and one bit be lost: it is only a guess.
void Leadership::Remember(bool was_long) {
  const std::uint32_t recent = recent_long_.load(std::memory_order_relaxed);
  if (recent == 0 && !was_long) return;
  constexpr std::uint32_t kMask = (1U << kRecentCalls) - 1;
  recent_long_.store(((recent << 1) | (was_long ? 1U : 0U)) & kMask, std::memory_order_relaxed);
}

bool Leadership::StandBy() {
  std::unique_lock lock(mutex_);
  relief_.wait(lock, [this] { return ended_ || !watched_; });
  if (ended_) return false;
  watched_ = true;
  const bool leads = Watch(lock);
  watched_ = false;
  relief_.notify_one();
  return leads;
}

bool Leadership::Watch(std::unique_lock<std::mutex>& lock) {
  Nanoseconds patience = patience_;
  while (!ended_) {
    std::uint64_t seen = word_.load(std::memory_order_acquire);
    if ((seen & kAway) == 0) {
      watch_sleeps_.store(true, std::memory_order_seq_cst);
      seen = word_.load(std::memory_order_seq_cst);
      if ((seen & kAway) == 0) {
        watch_.wait(lock, [this] { return ended_ || !watch_sleeps_.load(); });
        patience = patience_;
        continue;
      }
      watch_sleeps_.store(false, std::memory_order_relaxed);
    }
    const auto hurried = [&] { return ended_ || hurried_.load(std::memory_order_relaxed) == seen; };
    const pthread_t leader = leader_.load(std::memory_order_relaxed);
    const Nanoseconds computed = ComputedBy(leader);
    if (!hurried()) watch_.wait_for(lock, patience, hurried);
    if (ended_) break;  // else no thread has ended either
    std::uint64_t now = seen;
    if (word_.compare_exchange_strong(now, seen & ~kAway, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
      return true;
    }
    patience = NextPatience(patience_, patience, ((now | kAway) - seen) / 2,
                            ComputedBy(leader) - computed);
  }
  return false;
}

void Leadership::WakeWatch() {
  {
    const std::lock_guard lock(mutex_);
    watch_sleeps_.store(false, std::memory_order_relaxed);
  }
  watch_.notify_one();
}

void Leadership::WaitForHandBack() {
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [this] { return handed_back_; });
  handed_back_ = false;
}

void Leadership::HandBack() {
  {
    const std::lock_guard lock(mutex_);
    demanded_.store(false, std::memory_order_relaxed);
    handed_back_ = true;
  }
  returned_.notify_one();
}

void Leadership::End() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  watch_.notify_all();
  relief_.notify_all();
}

}  // namespace gunid
