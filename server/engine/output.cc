#include "engine/output.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <utility>

#include "engine/temporary_file.h"

namespace gunid {
namespace {

constexpr std::size_t kMaxParts = 3;
constexpr std::size_t kKeptCapacity = 512;  // of an idle connection

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
  if (file_) {
    for (const std::string_view part : parts) Keep(part);
    return Flush();
  }
  std::array<iovec, kMaxParts + 1> vectors;
  std::size_t count = 0;
  if (offset_ < pending_.size()) {
    vectors[count++] = ToIovec(std::string_view(pending_).substr(offset_));
  }
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
    Keep(part.substr(from_part));
  }
  return empty() ? Progress::kDone : Progress::kBlocked;
}

void Output::Keep(std::string_view bytes) {
  if (bytes.empty()) return;
  const bool fits = queue().size() + bytes.size() <= kMemoryLimit;
  if (!fits && (spilling_ || OpenSpillFile())) {
    SpillToFile(bytes);
  } else {
    queue().append(bytes);
  }
}

bool Output::OpenSpillFile() {
  if (file_ || spill_failed_) return false;
  Result<UniqueFd> file = OpenTemporaryFile();
  if (!file) {
    spdlog::error("a response stays in memory: {}", file.error().message);
    spill_failed_ = true;
    return false;
  }
  file_ = std::move(*file);
  file_offset_ = 0;
  spilling_ = true;
  return true;
}

// Where the disk is full the bytes stay in memory, and full() holds the application up.
void Output::SpillToFile(std::string_view bytes) {
  for (const std::string_view part : {std::string_view(after_file_), bytes}) {
    const Status written = WriteAt(file_.get(), part, static_cast<off_t>(file_end()));
    if (!written) {
      if (!std::exchange(spill_failed_, true)) {
        spdlog::error("a response stays in memory: {}", written.error().message);
      }
      if (part.data() == bytes.data()) after_file_.clear();
      after_file_.append(bytes);
      return;
    }
    file_left_ += part.size();
  }
  after_file_.clear();
}

Output::Progress Output::WriteFile(int file, off_t offset, std::uint64_t count) {
  assert(!file_);
  Progress progress = FlushBytes(count > 0 ? MSG_MORE : 0);
  file_offset_ = offset;
  file_left_ = count;
  if (progress == Progress::kDone) progress = FlushFile(file);
  if (progress != Progress::kFailed && file_left_ > 0) {
    file_.Reset(::fcntl(file, F_DUPFD_CLOEXEC, 0));
    if (!file_) {
      spdlog::error("a response is cut: {}", Errno("duplicate the descriptor of its file").message);
      return Progress::kFailed;
    }
  }
  return progress;
}

Output::Progress Output::Flush() {
  while (true) {
    Progress progress = FlushBytes(file_left_ > 0 ? MSG_MORE : 0);
    if (progress != Progress::kDone || !file_) return progress;
    progress = FlushFile(file_.get());
    if (progress != Progress::kDone) return progress;
    CloseFile();
    pending_.swap(after_file_);
  }
}

bool Output::full() const {
  return memory_bytes() > 4 * kMemoryLimit || file_is_full();
}

bool Output::has_room() const {
  return memory_bytes() <= kMemoryLimit && !file_is_full();
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
  std::uint64_t budget = kMostOfFile;
  while (file_left_ > 0) {
    if (budget == 0) return Progress::kMore;
    const ssize_t sent = ::sendfile(socket_, file, &file_offset_, std::min(file_left_, budget));
    if (sent > 0) {
      const auto count = static_cast<std::uint64_t>(sent);
      budget -= count;
      file_left_ -= count;
      bytes_sent_ += count;
    } else if (sent == 0) {
      spdlog::error("a response is cut: its file has become shorter");
      return Progress::kFailed;
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

std::uint64_t Output::bytes_taken() const {
  int held = 0;
  if (::ioctl(socket_, SIOCOUTQ, &held) != 0) held = 0;
  return bytes_sent_ - std::min(bytes_sent_, static_cast<std::uint64_t>(held));
}

void Output::CloseFile() {
  file_.Reset();
  spilling_ = false;
  file_left_ = 0;
}

void Output::Truncate(std::uint64_t total) {
  assert(bytes_sent_ <= total && total <= total_bytes() && !file_);
  pending_.resize(offset_ + static_cast<std::size_t>(total - bytes_sent_));
}

void Output::Clear() {
  for (std::string* bytes : {&pending_, &after_file_}) {
    bytes->clear();
    if (bytes->capacity() > kKeptCapacity) bytes->shrink_to_fit();
  }
  offset_ = 0;
  CloseFile();
  spill_failed_ = false;
  bytes_sent_ = 0;
}

}  // namespace gunid
