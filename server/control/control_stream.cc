#include "control/control_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace gunid {

namespace {

using std::chrono::steady_clock;

constexpr std::size_t kByteBudget = 64 * 1024;
constexpr auto kReadLimit = std::chrono::seconds(3);
constexpr auto kWriteLimit = std::chrono::seconds(3);

// True if `fd` is ready before the deadline. `stop_fd` < 0 is not watched.
bool WaitReady(int fd, short events, int stop_fd, steady_clock::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd fds[] = {{fd, events, 0}, {stop_fd, POLLIN, 0}};
    const int ready = poll(fds, 2, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0 || fds[1].revents != 0) return false;
    return true;
  }
}

}  // namespace

ControlStream::ControlStream(int fd, int stop_fd)
    : fd_(fd),
      stop_fd_(stop_fd),
      read_deadline_(steady_clock::now() + kReadLimit),
      budget_(kByteBudget) {}

bool ControlStream::is_readable() const {
  return begin_ < end_ || WaitReady(fd_, POLLIN, stop_fd_, read_deadline_);
}

// Receives into the empty buffer; false at the end of the stream, an error, or a limit.
bool ControlStream::Fill() {
  const std::size_t room = std::min(buffer_.size(), budget_);
  while (room > 0 && WaitReady(fd_, POLLIN, stop_fd_, read_deadline_)) {
    const ssize_t received = recv(fd_, buffer_.data(), room, MSG_DONTWAIT);
    if (received > 0) {
      begin_ = 0;
      end_ = static_cast<std::size_t>(received);
      budget_ -= end_;
      return true;
    }
    if (received == 0 || (errno != EAGAIN && errno != EINTR)) return false;
  }
  return false;
}

ssize_t ControlStream::read(char* data, std::size_t size) {
  if (begin_ == end_ && !Fill()) return -1;
  const std::size_t count = std::min(size, end_ - begin_);
  std::memcpy(data, buffer_.data() + begin_, count);
  begin_ += count;
  return static_cast<ssize_t>(count);
}

ssize_t ControlStream::write(const char* data, std::size_t size) {
  if (!write_deadline_) write_deadline_ = steady_clock::now() + kWriteLimit;
  std::size_t written = 0;
  while (written < size) {
    const ssize_t sent = send(fd_, data + written, size - written, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      written += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN) {
      if (!WaitReady(fd_, POLLOUT, -1, *write_deadline_)) return -1;
    } else if (errno != EINTR) {
      return -1;
    }
  }
  return static_cast<ssize_t>(written);
}

}  // namespace gunid
