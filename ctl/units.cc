#include "ctl/units.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace gunid {

namespace {

std::string Decimal(double value, const char* unit) {
  char text[64];
  std::snprintf(text, sizeof text, "%.1f%s", value, unit);
  return text;
}

}  // namespace

std::string Duration(double seconds) {
  if (seconds < 0.9995)
    return std::to_string(static_cast<int>(std::max(seconds, 0.0) * 1000 + 0.5)) + "ms";
  if (seconds < 60) return Decimal(seconds, "s");
  constexpr double kLongest = 1e12;  // also keeps the conversion defined
  const auto total = static_cast<std::uint64_t>(std::min(seconds, kLongest));
  char text[64];
  const auto pair = [&text](std::uint64_t big, char unit, std::uint64_t small, char small_unit) {
    std::snprintf(text, sizeof text, "%llu%c%02llu%c", static_cast<unsigned long long>(big), unit,
                  static_cast<unsigned long long>(small), small_unit);
    return std::string(text);
  };
  if (total < 3600) return pair(total / 60, 'm', total % 60, 's');
  if (total < 86400) return pair(total / 3600, 'h', total % 3600 / 60, 'm');
  return pair(total / 86400, 'd', total % 86400 / 3600, 'h');
}

std::string Bytes(std::uint64_t bytes) {
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + "B";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return Decimal(value, kUnits[unit]);
}

}  // namespace gunid
