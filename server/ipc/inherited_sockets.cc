#include "ipc/inherited_sockets.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

namespace gunid {
namespace {

constexpr int kFirst = 3;  // of the descriptors that LISTEN_FDS counts
constexpr int kMost = 1024;

std::string TakeVariable(const char* name) {
  const char* value = std::getenv(name);
  std::string taken = value != nullptr ? value : "";
  unsetenv(name);
  return taken;
}

std::optional<int> Number(std::string_view text) {
  int number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || number < 0) return std::nullopt;
  return number;
}

std::vector<int> OpenDescriptors() {
  std::vector<int> numbers;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
    const auto number = Number(entry.path().filename().string());
    if (number && *number >= kFirst) numbers.push_back(*number);
  }
  return numbers;
}

Result<int> Option(int fd, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  if (getsockopt(fd, SOL_SOCKET, option, &value, &size) != 0) return Errno("it");
  return value;
}

Result<ListenerAddress> InetAddress(const sockaddr_storage& storage, socklen_t size) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&storage), size, host, sizeof host, port,
                  sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return Error{"it has an address that cannot be read"};
  }
  const auto family = storage.ss_family == AF_INET6 ? ListenerAddress::Family::kIpv6
                                                    : ListenerAddress::Family::kIpv4;
  return ListenerAddress{.family = family, .host = host, .port = Number(port).value_or(0)};
}

ListenerAddress UnixAddress(const sockaddr_storage& storage, socklen_t size) {
  const auto& address = reinterpret_cast<const sockaddr_un&>(storage);
  const std::size_t length = size - offsetof(sockaddr_un, sun_path);
  std::string path(address.sun_path, length);
  if (path.starts_with('\0')) {
    path.front() = '@';
  } else {
    path = path.c_str();
  }
  return {.family = ListenerAddress::Family::kUnix, .path = path};
}

// What is wrong with a descriptor, or where it listens.
Result<ListenerAddress> Examine(int fd) {
  const auto type = Option(fd, SO_TYPE);
  if (!type) return Error{errno == EBADF ? "it is not open" : "it is not a socket"};
  const auto listens = Option(fd, SO_ACCEPTCONN);
  if (*type != SOCK_STREAM) return Error{"it is not a stream socket"};
  if (!listens || *listens == 0) return Error{"it is a socket that does not listen"};
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0)
    return Errno("getsockname");
  switch (storage.ss_family) {
    case AF_INET:
    case AF_INET6:
      return InetAddress(storage, size);
    case AF_UNIX:
      return UnixAddress(storage, size);
    default:
      return Error{"it is neither an IP nor a Unix socket"};
  }
}

Error Unusable(int number, const std::string& why) {
  return Error{"inherited descriptor " + std::to_string(number) +
               " is not a listening socket: " + why};
}

}  // namespace

Result<InheritedSockets> InheritedSockets::Take() {
  InheritedSockets inherited;
  for (const int number : OpenDescriptors()) {
    if (auto address = Examine(number)) inherited.Add(number, std::move(*address));
  }
  const std::string pid = TakeVariable("LISTEN_PID");
  const std::string count = TakeVariable("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
  // Of a parent that was activated, and did not clear its environment.
  if (Number(pid) != getpid()) return inherited;
  const auto number = Number(count);
  if (!number || *number > kMost) {
    return Error{"invalid value '" + count + "' for LISTEN_FDS (environment): expected a number"};
  }
  for (int fd = kFirst; fd < kFirst + *number; ++fd) {
    const auto address = Examine(fd);
    if (!address)
      return Error{Unusable(fd, address.error().message).message + " (LISTEN_FDS=" + count + ")"};
    inherited.activated_.push_back(fd);
  }
  return inherited;
}

Result<InheritedSockets> InheritedSockets::Adopt(const std::vector<int>& numbers,
                                                 const std::vector<int>& activated) {
  InheritedSockets inherited;
  for (const int number : numbers) {
    auto address = Examine(number);
    if (!address) return Unusable(number, address.error().message);
    inherited.Add(number, std::move(*address));
  }
  inherited.activated_ = activated;
  return inherited;
}

void InheritedSockets::Add(int number, ListenerAddress address) {
  fcntl(number, F_SETFD, FD_CLOEXEC);
  sockets_[number] = std::make_shared<Listener>(Listener{std::move(address), UniqueFd(number)});
}

std::vector<int> InheritedSockets::numbers() const {
  std::vector<int> numbers;
  for (const auto& [number, listener] : sockets_) numbers.push_back(number);
  return numbers;
}

Result<ListenerAddress> InheritedSockets::AddressOf(int number) const {
  const auto found = sockets_.find(number);
  if (found != sockets_.end()) return found->second->address;
  return Unusable(number, "gunid was not started with it");
}

Result<Listener> InheritedSockets::Open(int number) const {
  auto address = AddressOf(number);
  if (!address) return address.error();
  UniqueFd copy(fcntl(number, F_DUPFD_CLOEXEC, kFirst));
  if (!copy) return Errno("inherited descriptor " + std::to_string(number));
  const int flags = fcntl(copy.get(), F_GETFL);
  if (flags < 0 || fcntl(copy.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    return Errno("inherited descriptor " + std::to_string(number));
  return Listener{std::move(*address), std::move(copy)};
}

}  // namespace gunid
