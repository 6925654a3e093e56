#include "ipc/handover.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace gunid {
namespace {

// Of the sending end's buffer a message takes less than 1 KiB, as the kernel counts: some hundred
// connections, as far as net.core.wmem_max allows.
constexpr int kQueueBytes = 1024 * 1024;

// A message: these bytes, and then the host or the path.
struct Header {
  std::uint8_t family = 0;
  std::uint8_t fresh = 0;
  std::uint16_t port = 0;
};

constexpr std::size_t kMaxText = 256;  // more than a host as a number or the path of a socket

union Control {
  cmsghdr header;  // for its alignment
  char bytes[CMSG_SPACE(sizeof(int))];
};

UniqueFd DescriptorOf(msghdr& message) {
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
    return UniqueFd();
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return UniqueFd(fd);
}

std::optional<ListenerAddress> AddressOf(const Header& header, std::string text) {
  using Family = ListenerAddress::Family;
  const auto family = static_cast<Family>(header.family);
  if (family == Family::kUnix) return ListenerAddress{.family = family, .path = std::move(text)};
  if (family != Family::kIpv4 && family != Family::kIpv6) return std::nullopt;
  return ListenerAddress{.family = family, .host = std::move(text), .port = header.port};
}

}  // namespace

// SOCK_SEQPACKET keeps messages apart, and unlike SOCK_DGRAM has no limit of ten messages
// (net.unix.max_dgram_qlen).
Result<Handover> Handover::Create() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return Errno("socketpair for connections of workers that go");
  }
  Handover handover{UniqueFd(fds[0]), UniqueFd(fds[1])};
  ::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &kQueueBytes, sizeof kQueueBytes);
  return handover;
}

bool Handover::Send(int socket, const ListenerAddress& listener, bool fresh) const {
  const bool is_unix = listener.family == ListenerAddress::Family::kUnix;
  const std::string& text = is_unix ? listener.path : listener.host;
  if (text.size() > kMaxText) return false;
  Header header{static_cast<std::uint8_t>(listener.family), fresh,
                static_cast<std::uint16_t>(listener.port)};
  std::array<iovec, 2> parts{
      {{&header, sizeof header}, {const_cast<char*>(text.data()), text.size()}}};
  Control control{};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof socket);
  std::memcpy(CMSG_DATA(rights), &socket, sizeof socket);
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(sending_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent > 0;
}

Handover::Receipt Handover::Receive(HandedConnection& connection) const {
  Header header;
  std::array<char, kMaxText> text;
  std::array<iovec, 2> parts{{{&header, sizeof header}, {text.data(), text.size()}}};
  Control control{};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t got = 0;
  do {
    got = ::recvmsg(receiving_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return Receipt::kClosed;
  if (got < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Receipt::kNothing;
    spdlog::error("{}", Errno("receive the connection of a worker that goes").message);
    return Receipt::kClosed;
  }
  connection.socket = DescriptorOf(message);
  std::optional<ListenerAddress> listener;
  if (static_cast<std::size_t>(got) >= sizeof header) {
    listener = AddressOf(header, {text.data(), static_cast<std::size_t>(got) - sizeof header});
  }
  if (!connection.socket || !listener || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    spdlog::error("lost the connection of a worker that goes: {}",
                  (message.msg_flags & MSG_CTRUNC) != 0 ? "no descriptor is free for it"
                                                        : "the message is malformed");
    return Receipt::kNothing;
  }
  connection.listener = std::move(*listener);
  connection.fresh = header.fresh != 0;
  return Receipt::kConnection;
}

void Handover::Close() const {
  ::shutdown(sending_.get(), SHUT_RDWR);
}

bool Handover::closed() const {
  pollfd end{sending_.get(), 0, 0};
  return ::poll(&end, 1, 0) == 1 && (end.revents & (POLLHUP | POLLNVAL)) != 0;
}

}  // namespace gunid
