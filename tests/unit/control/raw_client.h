// A client that can be as slow, rude or silent as a test needs.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "gunid/control_paths.h"

namespace gunid {

class RawClient {
 public:
  explicit RawClient(const std::string& path)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address;
    connected_ = FillControlAddress(path, &address) &&
                 connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

  bool Send(std::string_view bytes) const {
    return send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }

  // Until the server closes, or nothing came for `limit_ms`.
  std::string ReadAll(int limit_ms = 10'000) const {
    std::string received;
    char buffer[4096];
    pollfd readable{fd_.get(), POLLIN, 0};
    while (poll(&readable, 1, limit_ms) > 0) {
      const ssize_t count = recv(fd_.get(), buffer, sizeof buffer, 0);
      if (count <= 0) return received;
      received.append(buffer, static_cast<std::size_t>(count));
    }
    return received + "[no more for too long]";
  }

 private:
  UniqueFd fd_;
  bool connected_ = false;
};

struct RawResponse {
  int status = 0;
  std::string head;
  std::string body;
};

inline RawResponse SplitResponse(const std::string& text) {
  RawResponse response;
  const std::size_t end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || end == std::string::npos) return response;
  response.status = std::stoi(text.substr(9, 3));
  response.head = text.substr(0, end + 2);
  response.body = text.substr(end + 4);
  return response;
}

inline std::string RequestText(std::string_view method, std::string_view path,
                               const std::string& body) {
  std::string text =
      std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n";
  if (method != "GET") text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return text + "\r\n" + body;
}

inline RawResponse Ask(const std::string& socket, std::string_view method, std::string_view path,
                       const std::string& body = "") {
  const RawClient client(socket);
  if (!client.connected() || !client.Send(RequestText(method, path, body))) return {};
  return SplitResponse(client.ReadAll());
}

}  // namespace gunid
