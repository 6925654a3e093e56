// What the statistics of one request cost: its begin and end in the scoreboard. Writes nanoseconds.
#include <chrono>
#include <cstdio>

#include "base/clock.h"
#include "ipc/scoreboard.h"

int main() {
  constexpr int kRequests = 5'000'000;
  auto scoreboard = gunid::Scoreboard::Create(1);
  if (!scoreboard) {
    std::fprintf(stderr, "%s\n", scoreboard.error().message.c_str());
    return 1;
  }
  gunid::SlotWriter writer(scoreboard->slot(0));
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRequests; ++i) {
    const int entry = writer.BeginRequest({.method = "GET",
                                           .path = "/",
                                           .client = "127.0.0.1",
                                           .serial = static_cast<std::uint64_t>(i) + 1,
                                           .now_ns = gunid::MonotonicNs()});
    writer.EndRequest(entry, 200, 160);
  }
  const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
  std::printf("%.2f\n", time.count() / kRequests);
}
