#include "engine/health_check.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "gunid/exit_codes.h"

namespace gunid {
namespace {

constexpr std::size_t kKept = 8 * 1024;    // of the answer, in bytes
constexpr std::size_t kDetail = 2 * 1024;  // of its body
constexpr std::string_view kVersion = "HTTP/1.";

std::string RequestOf(const std::string& path) {
  return "GET " + path +
         " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: gunid-health-check\r\n"
         "Connection: close\r\n\r\n";
}

}  // namespace

Status JudgeHealth(const std::string& path, std::string_view answer) {
  const std::string what = "health check GET " + path + ": ";
  if (!answer.starts_with(kVersion)) {
    return Error{what + "the connection was closed without an answer", exit_code::kBootError};
  }
  const std::string_view line = answer.substr(0, answer.find("\r\n"));
  const std::string_view status = line.substr(std::min(line.find(' '), line.size() - 1) + 1);
  if (status.starts_with('2') || status.starts_with('3')) return {};
  const auto head_end = answer.find("\r\n\r\n");
  const std::string_view body =
      head_end == std::string_view::npos ? "" : answer.substr(head_end + 4, kDetail);
  return Error{what + std::string(status), exit_code::kBootError, std::string(body)};
}

HealthCheck::~HealthCheck() {
  if (socket_) loop_.Remove(socket_.get(), this);
}

Result<UniqueFd> HealthCheck::Start() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return Errno("health check: socketpair");
  }
  UniqueFd served(ends[0]);
  UniqueFd client(ends[1]);
  const std::string request = RequestOf(path_);
  const ssize_t sent = ::send(client.get(), request.data(), request.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(request.size())) return Errno("health check: send");
  if (!loop_.Add(client.get(), EPOLLIN | EPOLLRDHUP, this)) return Errno("health check: watch");
  socket_ = std::move(client);
  return served;
}

void HealthCheck::OnEvents(std::uint32_t /*events*/) {
  if (!Receive()) End();
}

bool HealthCheck::Receive() {
  std::array<char, 16 * 1024> buffer;
  const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  const std::size_t room = kKept - std::min(kKept, answer_.size());
  answer_.append(buffer.data(), std::min(static_cast<std::size_t>(got), room));
  return got > 0;
}

void HealthCheck::End() {
  loop_.Remove(socket_.get(), this);
  socket_.Reset();
  done_(JudgeHealth(path_, answer_));
}

}  // namespace gunid
