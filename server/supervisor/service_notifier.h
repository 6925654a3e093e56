// Tells the service manager where the server stands: sd_notify's protocol, one datagram per change
// to $NOTIFY_SOCKET. Supervisor's loop thread; owned by the supervisor.
//
// States of the server as the service manager knows them:
//   starting -> serving <-> reloading ; stopping from any, for good
// What a change is told by is a pure function (ServiceMessage). Beside the changes there are
// WATCHDOG=1, from a timer of the loop and so not where the loop stands still, and
// EXTEND_TIMEOUT_USEC while the server starts or stops: gunid has its own limits for both.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"

namespace gunid {

struct ServiceState {
  enum class Phase : std::uint8_t { kStarting, kServing, kReloading, kStopping };

  Phase phase = Phase::kStarting;
  std::string status;  // one line for people

  bool operator==(const ServiceState&) const = default;
};

// "4 workers, generation 2", "3 of 4 workers, generation 2; reload failed: ..."
std::string ServiceStatus(int ready, int wanted, int generation, const std::string& trouble);

// The assignments that say what has changed; "" if nothing has. `now_usec` is CLOCK_MONOTONIC's.
std::string ServiceMessage(const ServiceState& before, const ServiceState& after,
                           std::uint64_t now_usec);

class ServiceNotifier {
 public:
  // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and removes them from the environment:
  // they are not for children. The process must have one thread.
  explicit ServiceNotifier(EventLoop& loop);

  // Whether there is a service manager that wants to know.
  [[nodiscard]] bool enabled() const { return !address_.empty(); }
  // What it has taken from the environment, as "NAME=value", for the program that takes the place of
  // this one.
  [[nodiscard]] const std::vector<std::string>& environment() const { return environment_; }
  // That this process is the one to watch: the one that was started goes away.
  void TellPid();
  // Sends what is new in it; cheap where nothing is.
  void Report(ServiceState state);

  // The sockaddr_un of a path or of "@name"; an error names the value.
  static Result<std::string> SocketAddress(const std::string& value);

 private:
  void Send(std::string message);
  void SendQueued();
  void SendWatchdog();
  void ExtendTimeout();

  EventLoop& loop_;
  std::vector<std::string> environment_;
  std::string address_;  // a sockaddr_un's bytes; "" without a service manager
  std::optional<Nanoseconds> watchdog_period_;
  std::optional<ServiceState> state_;  // as reported
  std::deque<std::string> queue_;      // what the service manager had no room for yet
  bool retrying_ = false;
};

}  // namespace gunid
