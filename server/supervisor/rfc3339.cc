#include "supervisor/rfc3339.h"

#include <spdlog/fmt/fmt.h>

namespace gunid {
namespace {

std::string DateAndTime(std::time_t time) {
  std::tm utc{};
  gmtime_r(&time, &utc);
  char text[32];
  return {text, strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc)};
}

}  // namespace

std::string Rfc3339(std::time_t time) {
  return DateAndTime(time) + "Z";
}

std::string Rfc3339Milliseconds(std::chrono::system_clock::time_point time) {
  using std::chrono::floor;
  const auto whole = floor<std::chrono::seconds>(time);
  const auto rest = floor<std::chrono::milliseconds>(time - whole).count();
  return fmt::format("{}.{:03}Z", DateAndTime(std::chrono::system_clock::to_time_t(whole)), rest);
}

}  // namespace gunid
