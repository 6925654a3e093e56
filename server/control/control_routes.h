// What a request to the control API means: pure functions over the rows of kCommands. No sockets,
// no threads.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "gunid/control_api.h"
#include "supervisor/command.h"

namespace gunid {

inline constexpr std::string_view kIndexPath = "/v1";

// An answer for one who may not go on, with the methods that the path has (a 405 must name them).
struct Refusal {
  CommandResult result;
  std::string_view allow;
};

// The row that answers, or nullptr for the index.
std::variant<const CommandRow*, Refusal> FindRoute(std::string_view method, std::string_view path);

// What follows the "?" of a request target; "" for nothing.
std::string_view QueryOf(std::string_view target);

// Reads the argument: of a GET from the query (the library's own reading of it drops repetitions
// and adds forms), of a POST from the body. A 400 tells what is expected.
std::variant<Command, CommandResult> ParseCommand(const CommandRow& row, std::string_view query,
                                                  const std::string& body);

// GET /v1: the commands that there are.
CommandResult IndexResult();

// The error document for what the HTTP layer itself refuses.
CommandResult HttpErrorResult(int http_status);

}  // namespace gunid
