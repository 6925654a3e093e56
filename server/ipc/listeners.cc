#include "ipc/listeners.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

namespace gunid {
namespace {

constexpr int kDefaultPort = 8000;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// How people write the address: "127.0.0.1:8000", "[::1]:8000", "unix:/run/app.sock".
std::string BindText(const ListenerAddress& address) {
  switch (address.family) {
    case ListenerAddress::Family::kIpv4:
      return address.host + ":" + std::to_string(address.port);
    case ListenerAddress::Family::kIpv6:
      return "[" + address.host + "]:" + std::to_string(address.port);
    case ListenerAddress::Family::kUnix:
      break;
  }
  return "unix:" + address.path;
}

std::string CannotListen(const ListenerAddress& address) {
  return "cannot listen on " + BindText(address);
}

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Result<AddressList> LookUp(const std::string& host, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (failed != 0) return Error{gai_strerror(failed)};
  return AddressList(found, &freeaddrinfo);
}

// A host name as the number of its first address, of IPv4 if it has one: what "localhost" means to
// most clients.
Result<ListenerAddress> Resolve(const std::string& host, int port) {
  const auto list = LookUp(host, 0);
  if (!list) return list.error();
  const addrinfo* chosen = list->get();
  for (const addrinfo* info = list->get(); info != nullptr; info = info->ai_next) {
    if (info->ai_family == AF_INET) {
      chosen = info;
      break;
    }
  }
  char number[NI_MAXHOST];
  const int failed = getnameinfo(chosen->ai_addr, chosen->ai_addrlen, number, sizeof number,
                                 nullptr, 0, NI_NUMERICHOST);
  if (failed != 0) return Error{gai_strerror(failed)};
  const auto family = chosen->ai_family == AF_INET6 ? ListenerAddress::Family::kIpv6
                                                    : ListenerAddress::Family::kIpv4;
  return ListenerAddress{.family = family, .host = number, .port = port};
}

std::optional<int> ParsePort(std::string_view text) {
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc() || stop != end) return std::nullopt;
  return port;
}

bool IsNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

struct HostAndPort {
  std::string host;
  std::optional<std::string> port;
};

Result<HostAndPort> SplitHostAndPort(std::string_view text) {
  if (text.empty()) return Error{"it is empty"};
  const bool bracketed = text.front() == '[';
  const std::size_t host_end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && host_end == std::string_view::npos) return Error{"there is no ] for the ["};
  std::string_view rest =
      host_end == std::string_view::npos ? "" : text.substr(host_end + (bracketed ? 1 : 0));
  HostAndPort parts{
      .host = std::string(bracketed ? text.substr(1, host_end - 1) : text.substr(0, host_end))};
  if (rest.empty()) {
    if (IsNumber(parts.host))
      return Error{"to listen on a port of all addresses, write :" + parts.host};
    return parts;
  }
  if (rest.front() != ':') return Error{"a port after ] needs a colon"};
  rest.remove_prefix(1);
  if (rest.find(':') != std::string_view::npos)
    return Error{"an IPv6 address needs brackets, [::1]:8000"};
  parts.port = rest;
  return parts;
}

Result<ListenerAddress> ParseTcp(std::string_view text) {
  const auto parts = SplitHostAndPort(text);
  if (!parts) return parts.error();
  const std::optional<int> port = parts->port ? ParsePort(*parts->port) : kDefaultPort;
  if (!port) return Error{"'" + *parts->port + "' is not a port number"};
  if (parts->host.empty()) return ListenerAddress{.host = "0.0.0.0", .port = *port};
  return Resolve(parts->host, *port);
}

Result<ListenerAddress> ParseUnix(std::string_view path) {
  if (path.starts_with("//")) path.remove_prefix(2);
  if (path.empty() || path == "@") return Error{"the path is empty"};
  return ListenerAddress{.family = ListenerAddress::Family::kUnix, .path = std::string(path)};
}

Result<SocketAddress> ToSocketAddress(const ListenerAddress& address) {
  const auto list = LookUp(address.host, AI_NUMERICHOST);
  if (!list) return Error{CannotListen(address) + ": " + list.error().message};
  const addrinfo& info = **list;
  SocketAddress result;
  std::memcpy(&result.storage, info.ai_addr, info.ai_addrlen);
  result.size = info.ai_addrlen;
  const auto port = htons(static_cast<std::uint16_t>(address.port));
  if (info.ai_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&result.storage)->sin6_port = port;
  } else {
    reinterpret_cast<sockaddr_in*>(&result.storage)->sin_port = port;
  }
  return result;
}

Result<SocketAddress> ToUnixAddress(const ListenerAddress& address) {
  const std::string& path = address.path;
  SocketAddress result;
  auto* unix_address = reinterpret_cast<sockaddr_un*>(&result.storage);
  constexpr std::size_t kMaxPath = sizeof unix_address->sun_path - 1;
  if (path.size() > kMaxPath) {
    return Error{CannotListen(address) + ": the path is longer than " + std::to_string(kMaxPath) +
                 " bytes"};
  }
  unix_address->sun_family = AF_UNIX;
  path.copy(unix_address->sun_path, kMaxPath);
  const bool abstract = path.starts_with('@');
  if (abstract) unix_address->sun_path[0] = '\0';
  result.size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  return result;
}

UniqueFd MakeSocket(int family) {
  return UniqueFd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void Enable(int fd, int level, int option) {
  const int on = 1;
  setsockopt(fd, level, option, &on, sizeof on);
}

Result<int> BoundPort(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return Errno("getsockname");
  const in_port_t port = bound.ss_family == AF_INET6
                             ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                             : reinterpret_cast<sockaddr_in*>(&bound)->sin_port;
  return ntohs(port);
}

Result<Listener> OpenTcp(const ListenerAddress& address, int backlog) {
  const auto socket_address = ToSocketAddress(address);
  if (!socket_address) return socket_address.error();
  const int family = socket_address->storage.ss_family;
  UniqueFd fd = MakeSocket(family);
  if (!fd) return Errno(CannotListen(address));
  Enable(fd.get(), SOL_SOCKET, SO_REUSEADDR);
  // Otherwise [::] would take IPv4's port too, and a second bind to 0.0.0.0 would fail.
  if (family == AF_INET6) Enable(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
  if (bind(fd.get(), socket_address->get(), socket_address->size) != 0 ||
      listen(fd.get(), backlog) != 0) {
    return Errno(CannotListen(address));
  }
  const auto port = BoundPort(fd.get());
  if (!port) return port.error();
  Listener listener{address, std::move(fd)};
  listener.address.port = *port;
  return listener;
}

// Removes a socket that nobody listens on any more; refuses everything else that is in the way.
Status ClearPath(const ListenerAddress& address, const SocketAddress& socket_address) {
  struct stat status {};
  if (lstat(address.path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return Errno(CannotListen(address));
  }
  if (!S_ISSOCK(status.st_mode))
    return Error{CannotListen(address) + ": the path exists and is not a socket"};
  const UniqueFd probe = MakeSocket(AF_UNIX);
  if (!probe) return Errno(CannotListen(address));
  // EAGAIN: a living server whose backlog is full.
  if (connect(probe.get(), socket_address.get(), socket_address.size) == 0 || errno == EAGAIN) {
    return Errno(CannotListen(address), EADDRINUSE);
  }
  if (errno != ECONNREFUSED || unlink(address.path.c_str()) != 0)
    return Errno(CannotListen(address));
  return {};
}

Result<Listener> OpenUnix(const ListenerAddress& address, int backlog, int umask,
                          const std::optional<Account>& owner) {
  const auto socket_address = ToUnixAddress(address);
  if (!socket_address) return socket_address.error();
  const bool abstract = address.path.starts_with('@');
  if (!abstract) {
    if (const Status cleared = ClearPath(address, *socket_address); !cleared)
      return cleared.error();
  }
  UniqueFd fd = MakeSocket(AF_UNIX);
  if (!fd) return Errno(CannotListen(address));
  // bind makes the node with it. A chmod by its path could be led elsewhere by whoever may write to
  // the directory.
  const mode_t own = ::umask(static_cast<mode_t>(umask));
  const int bound = bind(fd.get(), socket_address->get(), socket_address->size);
  ::umask(own);
  if (bound != 0 ||
      (!abstract && owner && lchown(address.path.c_str(), owner->uid, owner->gid) != 0) ||
      listen(fd.get(), backlog) != 0) {
    return Errno(CannotListen(address));
  }
  return Listener{address, std::move(fd)};
}

}  // namespace

std::string ListenerAddress::ToString() const {
  return (family == Family::kUnix ? "" : "http://") + BindText(*this);
}

Result<ListenerAddress> ParseBind(const std::string& bind) {
  const std::string_view text = bind;
  auto address = text.starts_with("unix:")    ? ParseUnix(text.substr(5))
                 : text.starts_with("tcp://") ? ParseTcp(text.substr(6))
                                              : ParseTcp(text);
  if (!address) return Error{"invalid bind address '" + bind + "': " + address.error().message};
  return address;
}

Result<Listener> OpenListener(const ListenerAddress& address, int backlog, int umask,
                              const std::optional<Account>& owner) {
  return address.family == ListenerAddress::Family::kUnix ? OpenUnix(address, backlog, umask, owner)
                                                          : OpenTcp(address, backlog);
}

}  // namespace gunid
