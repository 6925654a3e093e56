#include "engine/acceptor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <array>
#include <chrono>

#include "base/result.h"
#include "engine/engine.h"

namespace gunid {
namespace {

constexpr std::chrono::milliseconds kRetryDelay(100);
constexpr int kDeferSeconds = 1;

// Nothing to accept, or a connection that was gone before it was accepted.
bool IsHarmless(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ECONNABORTED ||
         error == EPROTO || error == EPERM;
}

}  // namespace

PeerAddress PeerAddressOf(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> host{};
  if (address.ss_family == AF_INET) {
    const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &ipv4.sin_addr, host.data(), host.size());
    return {host.data(), ntohs(ipv4.sin_port)};
  }
  if (address.ss_family == AF_INET6) {
    const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &ipv6.sin6_addr, host.data(), host.size());
    return {host.data(), ntohs(ipv6.sin6_port)};
  }
  return {};
}

Acceptor::Acceptor(Engine& engine, const Listener& listener)
    : engine_(engine), listener_(listener) {
  if (listener.address.family == ListenerAddress::Family::kUnix) return;
  // Accepted sockets inherit it: no call for each connection.
  const int on = 1;
  ::setsockopt(listener.fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // A connection is to be accepted when its first bytes are there, by a worker that has a place for
  // its request then. Silent ones come up after that time.
  ::setsockopt(listener.fd.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &kDeferSeconds,
               sizeof kDeferSeconds);
}

Acceptor::~Acceptor() {
  SetActive(false);
  engine_.loop().Cancel(retry_timer_);
}

void Acceptor::SetActive(bool active) {
  if (active == active_) return;
  active_ = active;
  Watch();
}

void Acceptor::Watch() {
  const bool wanted = active_ && retry_timer_ == 0 && !ended_;
  if (wanted == watched_) return;
  if (!wanted) {
    engine_.loop().Remove(listener_.fd.get(), this);
    watched_ = false;
  } else if (engine_.loop().Add(listener_.fd.get(), EPOLLIN | EPOLLEXCLUSIVE, this)) {
    watched_ = true;
  } else {
    BackOff();
  }
}

void Acceptor::OnEvents(std::uint32_t /*events*/) {
  TakeWaiting();
}

void Acceptor::TakeWaiting() {
  const int most = 1 + engine_.extra_places();
  for (int i = 0; i < most && engine_.may_accept() && Look(); ++i) {
  }
}

// Shut down, and empty: without waiting, a Unix socket tells of the second alone.
bool Acceptor::HasEnded(int error) const {
  const bool is_unix = listener_.address.family == ListenerAddress::Family::kUnix;
  return error == EINVAL || (is_unix && (error == EAGAIN || error == EWOULDBLOCK));
}

bool Acceptor::Look() {
  if (ended_ || retry_timer_ != 0) return false;
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  UniqueFd socket(::accept4(listener_.fd.get(), reinterpret_cast<sockaddr*>(&address), &length,
                            SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket) {
    failing_ = false;
    engine_.Admit({.socket = std::move(socket),
                   .peer = PeerAddressOf(address),
                   .ip = IpAddress::Of(reinterpret_cast<const sockaddr*>(&address)),
                   .listener = listener_.address});
    return true;
  }
  if (engine_.emptying() && HasEnded(errno)) {
    ended_ = true;
    Watch();
  } else if (!IsHarmless(errno)) {
    BackOff();
  }
  return false;
}

// A level-triggered listener would report the same connection again at once, without end.
void Acceptor::BackOff() {
  // EINVAL: the supervisor has shut the socket down because it stops, and tells this worker so just
  // now.
  if (!failing_ && errno != EINVAL) {
    spdlog::error("{}; trying again every {} ms",
                  Errno("accept on " + listener_.address.ToString()).message, kRetryDelay.count());
  }
  failing_ = true;
  retry_timer_ = engine_.loop().RunAfter(kRetryDelay, [this] {
    retry_timer_ = 0;
    Watch();
  });
  Watch();
}

}  // namespace gunid
