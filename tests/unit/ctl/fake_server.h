// A server that takes one connection after another and sends what the test wrote, or says nothing.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "gunid/control_paths.h"

namespace gunid {

class FakeServer {
 public:
  // With an empty `answer` it closes; with "silence" it keeps the connection and sends nothing.
  FakeServer(const std::string& path, std::string answer)
      : answer_(std::move(answer)), fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address;
    listening_ = FillControlAddress(path, &address) &&
                 bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                 listen(fd_, 16) == 0;
    thread_ = std::thread([this] { Serve(); });
  }
  ~FakeServer() {
    stopping_ = true;
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  [[nodiscard]] bool listening() const { return listening_; }
  std::string request() {
    const std::lock_guard lock(mutex_);
    return request_;
  }

 private:
  void Serve() {
    while (!stopping_) {
      const int connection = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      if (Receive(connection)) Answer(connection);
      close(connection);
    }
  }

  // False for a client that only looked whether somebody listens.
  bool Receive(int connection) {
    char buffer[4096];
    const ssize_t size = recv(connection, buffer, sizeof buffer, 0);
    if (size <= 0) return false;
    std::string text(buffer, static_cast<std::size_t>(size));
    pollfd more{connection, POLLIN, 0};
    while (poll(&more, 1, 50) > 0) {
      const ssize_t count = recv(connection, buffer, sizeof buffer, 0);
      if (count <= 0) break;
      text.append(buffer, static_cast<std::size_t>(count));
    }
    const std::lock_guard lock(mutex_);
    request_ = text;
    return true;
  }

  void Answer(int connection) const {
    if (answer_ == "silence") {
      pollfd gone{connection, POLLIN, 0};
      poll(&gone, 1, 10'000);
    } else {
      send(connection, answer_.data(), answer_.size(), MSG_NOSIGNAL);
    }
  }

  const std::string answer_;
  const int fd_;
  bool listening_ = false;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::string request_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace gunid
