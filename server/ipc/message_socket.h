// Whole messages with descriptors over a SOCK_SEQPACKET socket pair. One per zygote and one per
// worker; the supervisor has the other end. Non-blocking in the supervisor, blocking elsewhere. EOF
// means that the peer is gone.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace gunid {

struct Packet {
  std::string bytes;
  std::vector<UniqueFd> fds;
};

class MessageSocket {
 public:
  // Both ends are close-on-exec; the first is non-blocking.
  static Result<std::pair<MessageSocket, MessageSocket>> Pair();

  MessageSocket() = default;
  explicit MessageSocket(UniqueFd fd) : fd_(std::move(fd)) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  explicit operator bool() const { return static_cast<bool>(fd_); }
  void Close() { fd_.Reset(); }

  Status Send(const std::string& bytes, const std::vector<int>& fds = {});
  // A packet; nullopt where none is there yet (non-blocking only). An error with errno's text, or
  // kClosed at EOF.
  Result<std::optional<Packet>> Receive();

  static constexpr char kClosed[] = "closed";
  static constexpr std::size_t kMaxBytes = 128 * 1024;
  static constexpr std::size_t kMaxFds = 64;

 private:
  UniqueFd fd_;
};

}  // namespace gunid
