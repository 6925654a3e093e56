#include "control/control_routes.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "gunid/version.h"

namespace gunid {

namespace {

// "N" for a number, "ID" for text.
std::string Placeholder(const ArgumentRow& kind) {
  return kind.quoted ? "ID" : "N";
}

std::string WhatAQueryIs(const CommandRow& row, const ArgumentRow& kind) {
  if (row.argument.empty()) return " takes no query parameters";
  return std::string(kind.required ? " takes one query parameter: ?"
                                   : " takes at most one query parameter: ?") +
         std::string(row.argument) + "=" + Placeholder(kind);
}

std::string WhatABodyIs(const CommandRow& row, const ArgumentRow& kind) {
  if (row.argument.empty()) return " takes no argument: send no body, or {}";
  const std::string_view quote = kind.quoted ? "\"" : "";
  return " takes a JSON object with one member: {\"" + std::string(row.argument) +
         "\": " + std::string(quote) + Placeholder(kind) + std::string(quote) + "}";
}

CommandResult BadArgument(const CommandRow& row) {
  const ArgumentRow& kind = RowOf(row.kind);
  std::string message = std::string(row.name) +
                        (row.method == "GET" ? WhatAQueryIs(row, kind) : WhatABodyIs(row, kind));
  if (!row.argument.empty()) message += ", " + Placeholder(kind) + " " + std::string(kind.form);
  return ErrorResult(400, {.code = "bad_argument", .message = message, .detail = ""});
}

// The one parameter that there may be, "NAME=VALUE". No form of a value has anything to decode.
bool ReadQuery(const CommandRow& row, std::string_view query, Command& command) {
  const ArgumentRow& kind = RowOf(row.kind);
  if (query.empty()) return !kind.required;
  const std::string name = std::string(row.argument) + "=";
  return !row.argument.empty() && query.starts_with(name) &&
         kind.read(query.substr(name.size()), command);
}

// A member's value as text; nothing if it has another JSON type. Numbers come out as they were
// written, because the parser takes what has a sign, a fraction or too many digits for another type.
std::optional<std::string> MemberText(const nlohmann::json& value, bool quoted) {
  if (quoted && value.is_string()) return value.get<std::string>();
  if (!quoted && value.is_number_unsigned()) return value.dump();
  return std::nullopt;
}

// Takes the member that every job may have out of the object.
bool ReadWait(nlohmann::json& document, Command& command) {
  const auto wait = document.find("wait");
  if (wait == document.end()) return true;
  if (!wait->is_boolean()) return false;
  command.wait = wait->get<bool>();
  document.erase(wait);
  return true;
}

bool ReadBody(const CommandRow& row, const std::string& body, Command& command) {
  const ArgumentRow& kind = RowOf(row.kind);
  if (body.empty()) return !kind.required;
  nlohmann::json document = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object() || (row.job && !ReadWait(document, command))) return false;
  if (document.empty()) return !kind.required;
  const auto member = document.find(std::string(row.argument));
  if (row.argument.empty() || document.size() != 1 || member == document.end()) return false;
  const auto text = MemberText(*member, kind.quoted);
  return text && kind.read(*text, command);
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

std::string_view QueryOf(std::string_view target) {
  const std::size_t mark = target.find('?');
  return mark == std::string_view::npos ? "" : target.substr(mark + 1);
}

std::variant<Command, CommandResult> ParseCommand(const CommandRow& row, std::string_view query,
                                                  const std::string& body) {
  Command command{.id = row.id};
  // A POST has its argument in the body, and nothing may be in the query.
  const bool understood = row.method == "GET" ? ReadQuery(row, query, command)
                                              : query.empty() && ReadBody(row, body, command);
  if (!understood) return BadArgument(row);
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
                        {"waits", row.waits},
                        {"job", row.job}});
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
