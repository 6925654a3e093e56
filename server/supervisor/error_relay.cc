#include "supervisor/error_relay.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <utility>

namespace gunid {
namespace {

constexpr std::size_t kChunk = 64 * 1024;                     // what a pipe holds
constexpr int kWakeId = 0;                                    // no worker's
constexpr auto kLastWordsPatience = std::chrono::seconds(1);  // of a whole stop

bool IsRegularFile(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

int MillisecondsUntil(TimePoint moment) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(moment - Clock().Now()).count();
  return std::max(0, static_cast<int>(left));
}

}  // namespace

ErrorRelay::ErrorRelay(int output)
    : output_(output),
      output_is_pipe_(!IsRegularFile(output)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event event{.events = EPOLLIN, .data = {.u32 = kWakeId}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
}

ErrorRelay::~ErrorRelay() {
  Stop();
}

Result<UniqueFd> ErrorRelay::Open(int worker) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Errno("pipe for a worker's standard error");
  UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  fcntl(reading.get(), F_SETFL, O_NONBLOCK);
  Add(worker, std::move(reading));
  return writing;
}

void ErrorRelay::Add(int worker, UniqueFd fd) {
  const std::lock_guard lock(mutex_);
  epoll_event event{.events = EPOLLIN, .data = {.u32 = static_cast<std::uint32_t>(worker)}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
  pipes_[worker].fd = std::move(fd);
}

std::string ErrorRelay::Tail(int worker) {
  const std::lock_guard lock(mutex_);
  const auto found = pipes_.find(worker);
  if (found == pipes_.end()) return "";
  Read(found->second);
  Wake();
  return found->second.tail;
}

void ErrorRelay::Forget(int worker) {
  const std::lock_guard lock(mutex_);
  const auto found = pipes_.find(worker);
  if (found == pipes_.end()) return;
  found->second.forgotten = true;
  found->second.tail.clear();
  if (!found->second.fd) pipes_.erase(found);
}

void ErrorRelay::Start() {
  if (thread_) return;
  thread_.emplace([this] { Run(); });
  Wake();  // something may have been left when it was stopped
}

void ErrorRelay::Stop() {
  if (!thread_) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    give_up_at_ = Clock().Now() + kLastWordsPatience;
  }
  Wake();
  thread_.reset();
  stopping_ = false;
}

std::vector<ErrorPipeState> ErrorRelay::ToState() const {
  const std::lock_guard lock(mutex_);
  std::vector<ErrorPipeState> state;
  for (const auto& [worker, pipe] : pipes_) {
    if (pipe.fd) state.push_back({worker, pipe.fd.get()});
  }
  return state;
}

void ErrorRelay::Adopt(const std::vector<ErrorPipeState>& pipes) {
  for (const ErrorPipeState& pipe : pipes) Add(pipe.worker, UniqueFd(pipe.fd));
}

bool ErrorRelay::Read(Pipe& pipe) {
  static thread_local std::array<char, kChunk> chunk;
  if (!pipe.fd) return false;
  const ssize_t size = read(pipe.fd.get(), chunk.data(), chunk.size());
  if (size < 0) return true;
  if (size == 0) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, pipe.fd.get(), nullptr);
    pipe.fd.Reset();
    return false;
  }
  const std::string_view text(chunk.data(), static_cast<std::size_t>(size));
  queue_ += text;
  if (pipe.forgotten) return true;
  pipe.tail += text.substr(text.size() - std::min(text.size(), kTailBytes));
  if (pipe.tail.size() > kTailBytes) pipe.tail.erase(0, pipe.tail.size() - kTailBytes);
  return true;
}

void ErrorRelay::Run() {
  for (;;) {
    ReadReady(-1);
    if (!WriteQueued()) return;
    const std::lock_guard lock(mutex_);
    if (stopping_) break;
  }
  ReadAll();
  WriteQueued();
}

void ErrorRelay::ReadReady(int wait_ms) {
  std::array<epoll_event, 64> events;
  const int count =
      epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms);
  const std::lock_guard lock(mutex_);
  for (int i = 0; i < count; ++i) {
    const auto id = static_cast<int>(events[static_cast<std::size_t>(i)].data.u32);
    if (id == kWakeId) {
      eventfd_t value = 0;
      eventfd_read(wake_.get(), &value);
      continue;
    }
    const auto found = pipes_.find(id);
    if (found == pipes_.end()) continue;
    if (!Read(found->second) && found->second.forgotten) pipes_.erase(found);
  }
}

// What the pipes hold now.
void ErrorRelay::ReadAll() {
  const std::lock_guard lock(mutex_);
  for (auto& [worker, pipe] : pipes_) Read(pipe);
}

// False: nobody takes it any more, and it is stopped.
bool ErrorRelay::WriteQueued() {
  std::string text;
  {
    const std::lock_guard lock(mutex_);
    text = std::exchange(queue_, {});
  }
  for (std::string_view rest = text; !rest.empty();) {
    // As much as a pipe takes without waiting, once poll has said that it has room.
    if (output_is_pipe_ && !WaitForRoom()) {
      // For the program that takes this one's place, or this one if it goes on.
      const std::lock_guard lock(mutex_);
      queue_.insert(0, rest);
      return false;
    }
    const std::size_t most = output_is_pipe_ ? PIPE_BUF : rest.size();
    const ssize_t written = write(output_, rest.data(), std::min(rest.size(), most));
    if (written < 0 && errno != EINTR && errno != EAGAIN) return true;  // closed: it is lost
    if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool ErrorRelay::WaitForRoom() const {
  for (;;) {
    pollfd fds[] = {{output_, POLLOUT, 0}, {wake_.get(), POLLIN, 0}};
    bool stopping = false;
    int patience_ms = -1;
    {
      const std::lock_guard lock(mutex_);
      stopping = stopping_;
      if (stopping) patience_ms = MillisecondsUntil(give_up_at_);
    }
    const int ready = poll(fds, stopping ? 1 : 2, patience_ms);
    if (ready < 0) continue;
    if (fds[0].revents != 0) return true;
    if (stopping) return false;
    // Woken for something else: read it, or poll would not wait any more.
    eventfd_t value = 0;
    eventfd_read(wake_.get(), &value);
  }
}

void ErrorRelay::Wake() const {
  eventfd_write(wake_.get(), 1);
}

}  // namespace gunid
