// One connection of the control API as cpp-httplib sees it. Unlike the library's own stream it has
// deadlines for the whole request and the whole response and a byte budget, so a slow or endless
// client cannot keep a thread. On one control thread; owned by ControlSession. Include it only in
// control/*.cc: it brings in httplib.h.
#pragma once

#include <httplib.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>

namespace gunid {

class ControlStream : public httplib::Stream {
 public:
  // Borrows both. `fd` is non-blocking; reading ends early when `stop_fd` becomes readable.
  ControlStream(int fd, int stop_fd);

  [[nodiscard]] bool is_readable() const override;
  [[nodiscard]] bool is_writable() const override { return true; }
  ssize_t read(char* data, std::size_t size) override;
  ssize_t write(const char* data, std::size_t size) override;
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  [[nodiscard]] socket_t socket() const override { return fd_; }

  // Asked for by later versions of the library only, hence no `override`.
  [[nodiscard]] bool wait_readable() const { return is_readable(); }
  [[nodiscard]] bool wait_writable() const { return true; }
  [[nodiscard]] time_t duration() const { return 0; }

 private:
  using Deadline = std::chrono::steady_clock::time_point;

  bool Fill();

  const int fd_;
  const int stop_fd_;
  const Deadline read_deadline_;
  std::optional<Deadline>
      write_deadline_;  // from the first write on: a command may have waited long
  std::size_t budget_;  // bytes that may still be received
  std::array<char, 4096> buffer_;
  std::size_t begin_ = 0;  // buffer_[begin_, end_) is received and not yet read
  std::size_t end_ = 0;
};

}  // namespace gunid
