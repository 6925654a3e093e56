// The control API's documents as text for people: aligned tables, units, and no byte that could
// drive a terminal. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gunid/control_api.h"

namespace gunid {

// The report that belongs to `command`; nothing if `body` is not that document.
std::optional<std::string> RenderReport(CommandId command, const std::string& body, bool colour);

// {"error": ...}: one line, then the detail if there is one; nothing if `body` is not that
// document.
std::optional<std::string> RenderError(const std::string& body);

// Control bytes become \xNN, so that text from elsewhere stays text. EscapeControlLines keeps line
// ends and tabs.
std::string EscapeControl(std::string_view text);
std::string EscapeControlLines(std::string_view text);

}  // namespace gunid
