// A command with its argument, as both ends of the control API hold it: gunictl reads it from its
// command line, the server from a request. One row per kind of argument says how it is read, written
// and described. Pure; any thread.
#pragma once

#include <array>
#include <charconv>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "gunid/control_api.h"

namespace gunid {

// A request of a worker: what RequestReport::id says.
struct RequestId {
  int worker = 0;
  std::uint64_t serial = 0;

  auto operator<=>(const RequestId&) const = default;
};

struct Command {
  CommandId id = CommandId::kStatus;
  // The argument, checked for its form.
  int workers = 0;  // kWorkerCount
  int worker = 0;   // kWorker
  RequestId request;
  std::optional<std::uint64_t> after;  // kAfterEvent
  int job = 0;                         // kJob
  bool wait = true;                    // false: the answer is the job
};

// Digits only, without leading zeros: a number is written in one way.
template <class Number>
std::optional<Number> ParseDecimal(std::string_view text) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  if (text.front() == '0' && text.size() > 1) return std::nullopt;
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

inline std::string ToString(const RequestId& id) {
  return std::to_string(id.worker) + "-" + std::to_string(id.serial);
}

// Both numbers count from 1.
inline std::optional<RequestId> ParseRequestId(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto worker = ParseDecimal<int>(text.substr(0, dash));
  const auto serial = ParseDecimal<std::uint64_t>(text.substr(dash + 1));
  if (worker.value_or(0) == 0 || serial.value_or(0) == 0) return std::nullopt;
  return RequestId{*worker, *serial};
}

struct ArgumentRow {
  ArgumentKind kind;
  bool required;
  bool quoted;            // in JSON: a string, not a number
  std::string_view form;  // for "must be ..."
  // False for text of another form; the command is then as it was.
  bool (*read)(std::string_view text, Command& command);
  std::string (*write)(const Command& command);  // "" if it is left out
};

static_assert(kMinWorkers == 1 && kMaxWorkers == 512, "the text below says so");

inline constexpr std::array kArgumentKinds = {
    ArgumentRow{ArgumentKind::kNone, false, false, "nothing",
                [](std::string_view text, Command&) { return text.empty(); },
                [](const Command&) { return std::string(); }},
    ArgumentRow{ArgumentKind::kWorkerCount, true, false, "a whole number from 1 to 512",
                [](std::string_view text, Command& command) {
                  const auto number = ParseDecimal<int>(text);
                  if (!number || *number < kMinWorkers || *number > kMaxWorkers) return false;
                  command.workers = *number;
                  return true;
                },
                [](const Command& command) { return std::to_string(command.workers); }},
    ArgumentRow{ArgumentKind::kWorker, true, false, "the id or pid of a worker, a whole number",
                [](std::string_view text, Command& command) {
                  const auto number = ParseDecimal<int>(text);
                  if (number.value_or(0) == 0) return false;
                  command.worker = *number;
                  return true;
                },
                [](const Command& command) { return std::to_string(command.worker); }},
    ArgumentRow{ArgumentKind::kRequest, true, true, "the id of a request, such as 3-1841",
                [](std::string_view text, Command& command) {
                  const auto request = ParseRequestId(text);
                  if (request) command.request = *request;
                  return request.has_value();
                },
                [](const Command& command) { return ToString(command.request); }},
    ArgumentRow{ArgumentKind::kAfterEvent, false, false, "the id of an event, or 0",
                [](std::string_view text, Command& command) {
                  const auto event = ParseDecimal<std::uint64_t>(text);
                  if (event) command.after = *event;
                  return event.has_value();
                },
                [](const Command& command) {
                  return command.after ? std::to_string(*command.after) : std::string();
                }},
    ArgumentRow{ArgumentKind::kJob, true, false, "the id of a job, a whole number",
                [](std::string_view text, Command& command) {
                  const auto number = ParseDecimal<int>(text);
                  if (number.value_or(0) == 0) return false;
                  command.job = *number;
                  return true;
                },
                [](const Command& command) { return std::to_string(command.job); }},
};

constexpr const ArgumentRow& RowOf(ArgumentKind kind) {
  return kArgumentKinds[static_cast<std::size_t>(kind)];
}

static_assert(
    [] {
      for (std::size_t i = 0; i < kArgumentKinds.size(); ++i) {
        if (kArgumentKinds[i].kind != static_cast<ArgumentKind>(i)) return false;
      }
      return true;
    }(),
    "rows are in the order of the enumeration");

// Whether the answer may come late. A command whose argument may be left out waits only with it.
inline bool Waits(const CommandRow& row, const Command& command) {
  const ArgumentRow& argument = RowOf(row.kind);
  return row.waits && command.wait &&
         (row.kind == ArgumentKind::kNone || argument.required || !argument.write(command).empty());
}

}  // namespace gunid
