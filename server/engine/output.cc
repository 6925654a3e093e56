#include "engine/output.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>

namespace gunid {
namespace {

constexpr std::size_t kMaxParts = 3;
constexpr std::size_t kKeptCapacity = 4096;         // of an idle connection
constexpr std::uint64_t kMaxSendfile = 0x7ffff000;  // what one call transfers at most

ssize_t SendParts(int socket, iovec* parts, std::size_t count) {
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  ssize_t sent;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

iovec ToIovec(std::string_view bytes) {
  return {const_cast<char*>(bytes.data()), bytes.size()};
}

bool WouldBlock() {
  return errno == EAGAIN || errno == EWOULDBLOCK;
}

}  // namespace

Output::Progress Output::Write(std::initializer_list<std::string_view> parts) {
  assert(parts.size() <= kMaxParts);
  if (file_left_ > 0) {
    for (const std::string_view part : parts) after_file_.append(part);
    return Flush();
  }
  std::array<iovec, kMaxParts + 1> vectors;
  std::size_t count = 0;
  if (offset_ < pending_.size())
    vectors[count++] = ToIovec(std::string_view(pending_).substr(offset_));
  for (const std::string_view part : parts) vectors[count++] = ToIovec(part);
  const ssize_t sent = SendParts(socket_, vectors.data(), count);
  if (sent < 0 && !WouldBlock()) return Progress::kFailed;

  std::size_t left = static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
  const std::size_t from_pending = std::min(left, pending_.size() - offset_);
  Sent(from_pending);
  left -= from_pending;
  for (const std::string_view part : parts) {
    const std::size_t from_part = std::min(left, part.size());
    bytes_sent_ += from_part;
    left -= from_part;
    pending_.append(part.substr(from_part));
  }
  return empty() ? Progress::kDone : Progress::kBlocked;
}

Output::Progress Output::WriteFile(int file, off_t offset, std::uint64_t count) {
  assert(file_left_ == 0);
  Progress progress = FlushBytes(count > 0 ? MSG_MORE : 0);
  file_offset_ = offset;
  file_left_ = count;
  if (progress == Progress::kDone) progress = FlushFile(file);
  if (progress == Progress::kBlocked && file_left_ > 0) {
    file_.Reset(::fcntl(file, F_DUPFD_CLOEXEC, 0));
    if (!file_) return Progress::kFailed;
  }
  return progress;
}

Output::Progress Output::Flush() {
  Progress progress = FlushBytes(file_left_ > 0 ? MSG_MORE : 0);
  if (progress != Progress::kDone || file_left_ == 0) return progress;
  progress = FlushFile(file_.get());
  if (progress != Progress::kDone) return progress;
  file_.Reset();
  pending_.swap(after_file_);
  return FlushBytes(0);
}

Output::Progress Output::FlushBytes(int flags) {
  while (offset_ < pending_.size()) {
    const ssize_t sent = ::send(socket_, pending_.data() + offset_, pending_.size() - offset_,
                                MSG_NOSIGNAL | MSG_DONTWAIT | flags);
    if (sent >= 0) {
      Sent(static_cast<std::size_t>(sent));
    } else if (errno != EINTR) {
      return WouldBlock() ? Progress::kBlocked : Progress::kFailed;
    }
  }
  return Progress::kDone;
}

Output::Progress Output::FlushFile(int file) {
  while (file_left_ > 0) {
    const ssize_t sent =
        ::sendfile(socket_, file, &file_offset_, std::min(file_left_, kMaxSendfile));
    if (sent > 0) {
      file_left_ -= static_cast<std::uint64_t>(sent);
      bytes_sent_ += static_cast<std::uint64_t>(sent);
    } else if (sent == 0) {
      return Progress::kFailed;  // the file is shorter than what was promised to the client
    } else if (errno != EINTR) {
      return WouldBlock() ? Progress::kBlocked : Progress::kFailed;
    }
  }
  return Progress::kDone;
}

void Output::Sent(std::size_t count) {
  offset_ += count;
  bytes_sent_ += count;
  if (offset_ < pending_.size()) return;
  pending_.clear();
  offset_ = 0;
}

void Output::Clear() {
  for (std::string* bytes : {&pending_, &after_file_}) {
    bytes->clear();
    if (bytes->capacity() > kKeptCapacity) bytes->shrink_to_fit();
  }
  offset_ = 0;
  file_.Reset();
  file_left_ = 0;
  bytes_sent_ = 0;
}

}  // namespace gunid
