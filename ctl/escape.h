// Text from elsewhere made safe to print: control bytes become \xNN, so that nothing drives a
// terminal. Pure.
#pragma once

#include <string>
#include <string_view>

namespace gunid {

std::string EscapeControl(std::string_view text);
std::string EscapeControlLines(std::string_view text);  // keeps line ends and tabs

}  // namespace gunid
