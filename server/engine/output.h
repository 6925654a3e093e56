// What still has to be written to one client: bytes, then at most one region of a file, then the
// bytes that follow it. Used by one thread at a time: the executor's while the exchange runs, the
// engine's afterwards.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace gunid {

class Output {
 public:
  enum class Progress {
    kDone,
    kBlocked,
    kFailed
  };  // all written; the socket is full; the client is gone

  void Attach(int socket) { socket_ = socket; }

  // What is appended here goes out with the next write: a response head waits for the first of its
  // body.
  std::string& queue() { return file_left_ > 0 ? after_file_ : pending_; }
  // Sends what is queued and then `parts` (at most three), with one system call where the socket
  // takes it all; keeps the rest.
  Progress Write(std::initializer_list<std::string_view> parts);
  // Sends what is queued, then `count` bytes of `file` from `offset`; the descriptor is duplicated
  // where some of it must wait. Only one such region can be pending.
  Progress WriteFile(int file, off_t offset, std::uint64_t count);
  // Sends what is queued and pending.
  Progress Flush();

  [[nodiscard]] bool empty() const { return pending_bytes() == 0 && file_left_ == 0; }
  // In memory: a region of a file that is pending costs none.
  [[nodiscard]] std::size_t pending_bytes() const {
    return pending_.size() - offset_ + after_file_.size();
  }
  [[nodiscard]] std::uint64_t bytes_sent() const { return bytes_sent_; }  // since Clear()
  [[nodiscard]] std::uint64_t total_bytes() const {                       // sent or pending
    return bytes_sent_ + pending_bytes() + file_left_;
  }
  void Clear();

 private:
  Progress FlushBytes(int flags);
  Progress FlushFile(int file);
  void Sent(std::size_t count);

  int socket_ = -1;  // the connection's
  std::string pending_;
  std::size_t offset_ = 0;  // of pending_ that has been sent
  UniqueFd file_;
  off_t file_offset_ = 0;
  std::uint64_t file_left_ = 0;
  std::string after_file_;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace gunid
