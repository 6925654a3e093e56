#include "control/control_routes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "gunid/version.h"

namespace gunid {

namespace {

CommandResult BadArgument(const std::string& message) {
  return ErrorResult(400, {.code = "bad_argument", .message = message, .detail = ""});
}

bool IsWorkerCount(const nlohmann::json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    return number >= kMinWorkers && number <= kMaxWorkers;
  }
  return false;  // the parser takes only negative integers for signed ones
}

std::string WhatIsExpected(const CommandRow& row) {
  const std::string name(row.name);
  if (row.argument.empty()) return name + " takes no argument: send no body, or {}";
  const std::string argument(row.argument);
  return name + " takes a JSON object with one member: {\"" + argument +
         "\": N}, N a whole number from " + std::to_string(kMinWorkers) + " to " +
         std::to_string(kMaxWorkers);
}

}  // namespace

std::variant<const CommandRow*, Refusal> FindRoute(std::string_view method, std::string_view path) {
  const auto row =
      std::find_if(kCommands.begin(), kCommands.end(),
                   [&](const CommandRow& candidate) { return candidate.path == path; });
  if (row == kCommands.end() && path != kIndexPath) {
    return Refusal{ErrorResult(404, {.code = "not_found",
                                     .message = "there is no such command; GET /v1 lists them",
                                     .detail = ""}),
                   ""};
  }
  const CommandRow* found = row == kCommands.end() ? nullptr : &*row;
  const std::string_view allowed = found != nullptr ? found->method : "GET";
  if (method != allowed) {
    return Refusal{
        ErrorResult(405, {.code = "method_not_allowed",
                          .message = std::string(path) + " takes only " + std::string(allowed),
                          .detail = ""}),
        allowed};
  }
  return found;
}

std::variant<Command, CommandResult> ParseCommand(const CommandRow& row, const std::string& body) {
  Command command{.id = row.id};
  if (row.method == "GET" || (row.argument.empty() && body.empty())) return command;

  const nlohmann::json document = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  const std::size_t members = row.argument.empty() ? 0 : 1;
  if (!document.is_object() || document.size() != members) return BadArgument(WhatIsExpected(row));
  if (members == 1) {
    const auto argument = document.find(std::string(row.argument));
    if (argument == document.end() || !IsWorkerCount(*argument))
      return BadArgument(WhatIsExpected(row));
    command.workers = argument->get<int>();
  }
  return command;
}

CommandResult IndexResult() {
  nlohmann::json commands = nlohmann::json::array();
  for (const CommandRow& row : kCommands) {
    commands.push_back({{"name", row.name},
                        {"method", row.method},
                        {"path", row.path},
                        {"argument", row.argument},
                        {"help", row.help},
                        {"waits", row.waits}});
  }
  return {.http_status = 200,
          .body = nlohmann::json{{"version", GUNID_VERSION}, {"commands", commands}}.dump()};
}

CommandResult HttpErrorResult(int http_status) {
  struct Row {
    int status;
    const char* code;
    const char* message;
  };
  static constexpr Row kRows[] = {
      {400, "bad_request", "the request is malformed"},
      {403, "forbidden", "only root and the user that gunid runs as may use its control socket"},
      {411, "length_required", "send the body with a Content-Length"},
      {413, "too_large", "the request is too large"},
      {414, "too_large", "the request target is too long"},
      {415, "unsupported_encoding", "send the body without a Content-Encoding"},
      {500, "internal", "the control server failed to answer"},
  };
  for (const Row& row : kRows) {
    if (row.status == http_status) {
      return ErrorResult(http_status, {.code = row.code, .message = row.message, .detail = ""});
    }
  }
  return ErrorResult(
      http_status,
      {.code = "bad_request", .message = "the request cannot be answered", .detail = ""});
}

}  // namespace gunid
