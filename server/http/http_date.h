// IMF-fixdate (RFC 9110 section 5.6.7), "Sun, 06 Nov 1994 08:49:37 GMT".
#pragma once

#include <array>
#include <ctime>
#include <string>
#include <string_view>

namespace gunid {

// For dates in logs and headers: strftime would follow the locale.
inline constexpr std::array<const char*, 12> kMonthNames = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::string FormatHttpDate(std::time_t seconds);

// The current date, formatted anew only when the second changes. One per thread; not to be shared.
std::string_view CurrentHttpDate();

}  // namespace gunid
