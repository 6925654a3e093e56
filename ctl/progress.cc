#include "ctl/progress.h"

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <utility>

namespace gunid {

namespace {

// Commands that end sooner show nothing.
constexpr auto kQuiet = std::chrono::milliseconds(500);
constexpr auto kRedrawPeriod = std::chrono::milliseconds(200);

void Show(const std::stop_token& stop, const std::string& what,
          const std::function<std::string()>& progress) {
  using std::chrono::steady_clock;
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  const auto start = steady_clock::now();
  const auto stopped_within = [&](steady_clock::duration duration) {
    return wake.wait_for(lock, stop, duration, [] { return false; }) || stop.stop_requested();
  };
  if (stopped_within(kQuiet)) return;
  do {
    const auto elapsed =
        std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - start);
    const std::string far = progress();
    std::fprintf(stderr, "\r\x1b[K%s%s%s ... %llds", what.c_str(), far.empty() ? "" : ": ",
                 far.c_str(), static_cast<long long>(elapsed.count()));
    std::fflush(stderr);
  } while (!stopped_within(kRedrawPeriod));
  std::fputs("\r\x1b[K", stderr);
}

}  // namespace

Progress::Progress(std::string what, std::function<std::string()> progress)
    : thread_([what = std::move(what), progress = std::move(progress)](
                  const std::stop_token& stop) { Show(stop, what, progress); }) {}

}  // namespace gunid
