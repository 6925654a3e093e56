#include "supervisor/service_notifier.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>
#include <utility>

namespace gunid {
namespace {

using Phase = ServiceState::Phase;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Each extension is longer than the time to the next.
constexpr auto kExtendEvery = seconds(5);
constexpr auto kExtension = seconds(20);
constexpr auto kRetryAfter = milliseconds(50);
constexpr std::size_t kMostQueued = 64;

std::string TakeVariable(const char* name, std::vector<std::string>& assignments) {
  const char* value = std::getenv(name);
  if (value == nullptr) return "";
  std::string taken = value;
  assignments.push_back(std::string(name) + "=" + taken);
  unsetenv(name);
  return taken;
}

std::uint64_t Number(const std::string& text) {
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && stop == text.data() + text.size() ? number : 0;
}

std::uint64_t MonotonicMicroseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

// A line break would end the assignment.
std::string OneLine(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text;
}

std::string PhaseMessage(Phase phase, std::uint64_t now_usec) {
  switch (phase) {
    case Phase::kStarting:
      return "";
    case Phase::kServing:
      return "READY=1\n";
    case Phase::kReloading:
      return "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now_usec) + "\n";
    case Phase::kStopping:
      return "STOPPING=1\n";
  }
  return "";
}

}  // namespace

std::string ServiceStatus(int ready, int wanted, int generation, const std::string& trouble) {
  std::string status = std::to_string(wanted) + (wanted == 1 ? " worker" : " workers");
  if (ready != wanted) status.insert(0, std::to_string(ready) + " of ");
  status += ", generation " + std::to_string(generation);
  return trouble.empty() ? status : status + "; " + trouble;
}

std::string ServiceMessage(const ServiceState& before, const ServiceState& after,
                           std::uint64_t now_usec) {
  std::string message;
  if (after.phase != before.phase) message += PhaseMessage(after.phase, now_usec);
  if (after.status != before.status) message += "STATUS=" + OneLine(after.status) + "\n";
  return message;
}

Result<std::string> ServiceNotifier::SocketAddress(const std::string& value) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (value.size() < 2 || (value.front() != '/' && value.front() != '@') ||
      value.size() >= sizeof address.sun_path) {
    return Error{"NOTIFY_SOCKET '" + value + "' is neither a path nor @name of at most " +
                 std::to_string(sizeof address.sun_path - 1) + " bytes"};
  }
  value.copy(address.sun_path, value.size());
  const bool abstract = value.front() == '@';
  if (abstract) address.sun_path[0] = '\0';
  return std::string(reinterpret_cast<const char*>(&address),
                     offsetof(sockaddr_un, sun_path) + value.size() + (abstract ? 0 : 1));
}

ServiceNotifier::ServiceNotifier(EventLoop& loop) : loop_(loop) {
  const std::string path = TakeVariable("NOTIFY_SOCKET", environment_);
  const std::uint64_t watchdog_usec = Number(TakeVariable("WATCHDOG_USEC", environment_));
  const std::string watchdog_pid = TakeVariable("WATCHDOG_PID", environment_);
  if (path.empty()) return;
  auto address = SocketAddress(path);
  if (!address) {
    spdlog::warn("The service manager is not told: {}", address.error().message);
    return;
  }
  address_ = std::move(*address);
  const bool ours =
      watchdog_pid.empty() || Number(watchdog_pid) == static_cast<std::uint64_t>(getpid());
  if (ours && watchdog_usec > 1) {
    watchdog_period_ = microseconds(watchdog_usec / 2);
    SendWatchdog();
  }
}

void ServiceNotifier::TellPid() {
  if (enabled()) Send("MAINPID=" + std::to_string(getpid()) + "\n");
}

void ServiceNotifier::Report(ServiceState state) {
  if (address_.empty() || state_ == state) return;
  const bool first = !state_;
  const ServiceState before = std::exchange(state_, std::move(state)).value_or(ServiceState());
  std::string message = ServiceMessage(before, *state_, MonotonicMicroseconds());
  if (!message.empty()) Send(std::move(message));
  const bool stops = state_->phase == Phase::kStopping && before.phase != Phase::kStopping;
  if ((first && state_->phase == Phase::kStarting) ||
      (stops && (first || before.phase != Phase::kStarting))) {
    ExtendTimeout();
  }
}

// From here on until the phase is another.
void ServiceNotifier::ExtendTimeout() {
  if (state_->phase != Phase::kStarting && state_->phase != Phase::kStopping) return;
  Send("EXTEND_TIMEOUT_USEC=" + std::to_string(microseconds(kExtension).count()) + "\n");
  loop_.RunAfter(kExtendEvery, [this] { ExtendTimeout(); });
}

void ServiceNotifier::SendWatchdog() {
  Send("WATCHDOG=1\n");
  loop_.RunAfter(*watchdog_period_, [this] { SendWatchdog(); });
}

void ServiceNotifier::Send(std::string message) {
  // Nobody reads it.
  if (queue_.size() >= kMostQueued) queue_.pop_front();
  queue_.push_back(std::move(message));
  if (!retrying_) SendQueued();
}

// A service manager that is busy must hold up nothing here; what it had no room for is sent later.
void ServiceNotifier::SendQueued() {
  retrying_ = false;
  const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  for (; !queue_.empty(); queue_.pop_front()) {
    const std::string& message = queue_.front();
    if (sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(address_.data()),
               static_cast<socklen_t>(address_.size())) >= 0) {
      continue;
    }
    if (errno == EAGAIN || errno == ENOBUFS) {
      retrying_ = true;
      loop_.RunAfter(kRetryAfter, [this] { SendQueued(); });
      return;
    }
    spdlog::debug("NOTIFY_SOCKET: {}", std::strerror(errno));
  }
}

}  // namespace gunid
