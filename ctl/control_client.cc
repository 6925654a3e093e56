#include "ctl/control_client.h"

#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "gunid/control_paths.h"
#include "gunid/exit_codes.h"

namespace gunid {

namespace {

// The library counts milliseconds in an int, so this is about the longest wait that it knows: 23
// days.
constexpr double kLongestWait = 2'000'000;

Reply Failure(Reply::Outcome outcome, std::string error) {
  return {.outcome = outcome, .error = std::move(error)};
}

std::string Target(const CommandRow& row, const Command& command) {
  const std::string argument = RowOf(row.kind).write(command);
  if (row.method != "GET" || argument.empty()) return std::string(row.path);
  return std::string(row.path) + "?" + std::string(row.argument) + "=" + argument;
}

std::string RequestBody(const CommandRow& row, const Command& command) {
  const ArgumentRow& kind = RowOf(row.kind);
  const std::string argument = kind.write(command);
  nlohmann::json document;
  if (!argument.empty()) {
    document[std::string(row.argument)] =
        kind.quoted ? nlohmann::json(argument) : nlohmann::json::parse(argument);
  }
  if (!command.wait) document["wait"] = false;
  return document.empty() ? "" : document.dump();
}

httplib::Result Exchange(httplib::Client& client, const CommandRow& row, const Command& command) {
  const httplib::Headers headers{{"Host", "localhost"}};
  const std::string target = Target(row, command);
  if (row.method == "GET") return client.Get(target, headers);
  return client.Post(target, headers, RequestBody(row, command), "application/json");
}

}  // namespace

int ExitCode(const Reply& reply) {
  switch (reply.outcome) {
    case Reply::Outcome::kAnswered:
      return reply.http_status / 100 == 2 ? ctl_exit::kDone : ctl_exit::kFailed;
    case Reply::Outcome::kCannotConnect:
      return ctl_exit::kCannotConnect;
    case Reply::Outcome::kTimedOut:
      return ctl_exit::kTimedOut;
    case Reply::Outcome::kBroken:
      break;
  }
  return ctl_exit::kFailed;
}

Reply SendCommand(const std::string& socket_path, const CommandRow& row, const Command& command,
                  std::optional<double> timeout_s) {
  // The library does not say why it cannot connect.
  if (const int error = ProbeControlSocket(socket_path); error != 0) {
    return Failure(Reply::Outcome::kCannotConnect,
                   "cannot connect to gunid at " + socket_path + ": " + std::strerror(error));
  }
  const std::chrono::duration<double> wanted(
      std::min(timeout_s.value_or(kLongestWait), kLongestWait));
  const auto limit =
      std::chrono::ceil<std::chrono::milliseconds>(wanted);  // the library cuts off what is finer
  const auto start = std::chrono::steady_clock::now();

  httplib::Client client(socket_path);
  client.set_address_family(AF_UNIX);
  client.set_connection_timeout(limit);
  client.set_write_timeout(limit);
  client.set_read_timeout(limit);
  const httplib::Result result = Exchange(client, row, command);
  if (result) {
    return {
        .outcome = Reply::Outcome::kAnswered, .http_status = result->status, .body = result->body};
  }
  if (std::chrono::steady_clock::now() - start >= limit) {
    return Failure(Reply::Outcome::kTimedOut, "no answer to " + std::string(row.name) + " in time");
  }
  if (result.error() == httplib::Error::Connection) {
    return Failure(Reply::Outcome::kCannotConnect, "cannot connect to gunid at " + socket_path);
  }
  return Failure(Reply::Outcome::kBroken,
                 "the server closed the connection without an answer to " + std::string(row.name));
}

}  // namespace gunid
