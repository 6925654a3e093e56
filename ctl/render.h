// The control API's documents as text for people: aligned tables, units, and no byte that could
// drive a terminal. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gunid/command.h"

namespace gunid {

struct EventReport;

// The report that belongs to `command`; nothing if `body` is not that document.
std::optional<std::string> RenderReport(const Command& command, const std::string& body,
                                        bool colour);

// {"error": ...}: one line, then the detail if there is one; nothing if `body` is not that
// document.
std::optional<std::string> RenderError(const std::string& body);

// One line: when, what, to whom; then the detail, indented.
std::string RenderEvent(const EventReport& event);

}  // namespace gunid
