#include "ctl/control_client.h"

#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "gunid/control_paths.h"

namespace gunid {

namespace {

// The library counts milliseconds in an int, so this is about the longest wait that it knows: 23
// days.
constexpr double kLongestWait = 2'000'000;

Reply Failure(Reply::Outcome outcome, std::string error) {
  return {.outcome = outcome, .error = std::move(error)};
}

std::string RequestBody(const CommandRow& command, int argument) {
  if (command.argument.empty()) return "";
  return nlohmann::json{{std::string(command.argument), argument}}.dump();
}

httplib::Result Exchange(httplib::Client& client, const CommandRow& command, int argument) {
  const httplib::Headers headers{{"Host", "localhost"}};
  const std::string path(command.path);
  if (command.method == "GET") return client.Get(path, headers);
  return client.Post(path, headers, RequestBody(command, argument), "application/json");
}

}  // namespace

Reply SendCommand(const std::string& socket_path, const CommandRow& command, int argument,
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
  const httplib::Result result = Exchange(client, command, argument);
  if (result) {
    return {
        .outcome = Reply::Outcome::kAnswered, .http_status = result->status, .body = result->body};
  }
  if (std::chrono::steady_clock::now() - start >= limit) {
    return Failure(Reply::Outcome::kTimedOut,
                   "no answer to " + std::string(command.name) + " in time");
  }
  if (result.error() == httplib::Error::Connection) {
    return Failure(Reply::Outcome::kCannotConnect, "cannot connect to gunid at " + socket_path);
  }
  return Failure(Reply::Outcome::kBroken, "the server closed the connection without an answer to " +
                                              std::string(command.name));
}

}  // namespace gunid
