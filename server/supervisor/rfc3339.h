// Wall-clock times as the API writes them: RFC 3339, in UTC. Pure; any thread.
#pragma once

#include <chrono>
#include <ctime>
#include <string>

namespace gunid {

// "2026-01-31T08:05:00Z"
std::string Rfc3339(std::time_t time);
// "2026-01-31T08:05:00.123Z"
std::string Rfc3339Milliseconds(std::chrono::system_clock::time_point time);

}  // namespace gunid
