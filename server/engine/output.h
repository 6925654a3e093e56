// What still has to be written to one client: bytes in memory, then a region of a file, then the
// bytes that follow it. Used by one thread at a time; see engine/exchange.h.
//
// The file is either the application's own (WriteFile), or a temporary one that takes what a slow
// client leaves pending beyond kMemoryLimit, so that neither memory nor the application has to wait
// for it.
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
  // All written; much was, but others want their turn; the socket is full; the client is gone.
  enum class Progress { kDone, kMore, kBlocked, kFailed };

  static constexpr std::size_t kMemoryLimit = 64 * 1024;
  static constexpr std::uint64_t kMostOfFile = 1024 * 1024;

  // `file_limit`: of the temporary file, in bytes; 0: none.
  void Attach(int socket, std::uint64_t file_limit) {
    socket_ = socket;
    file_limit_ = file_limit;
  }

  // What is appended here goes out with the next write: a response head waits for the first of its
  // body.
  std::string& queue() { return file_ ? after_file_ : pending_; }
  // Sends what is queued and then `parts` (at most three), with one system call where the socket
  // takes it all; keeps the rest.
  Progress Write(std::initializer_list<std::string_view> parts);
  // Sends what is queued, then `count` bytes of `file` from `offset`; the descriptor is duplicated
  // where some of it must wait. Not while a file is pending already.
  Progress WriteFile(int file, off_t offset, std::uint64_t count);
  // Sends what is queued and pending; of a file kMostOfFile at the most.
  Progress Flush();

  [[nodiscard]] bool empty() const { return pending_bytes() == 0; }
  [[nodiscard]] bool has_file() const { return static_cast<bool>(file_); }
  [[nodiscard]] std::uint64_t pending_bytes() const { return memory_bytes() + file_left_; }
  [[nodiscard]] std::uint64_t bytes_sent() const { return bytes_sent_; }  // since Clear()
  [[nodiscard]] std::uint64_t total_bytes() const { return bytes_sent_ + pending_bytes(); }
  // What the client's system has acknowledged of it; the local one may hold megabytes for a client
  // that takes nothing. A system call.
  [[nodiscard]] std::uint64_t bytes_taken() const;

  // Nothing more should be written until there is room: the temporary file is at its limit, or it
  // cannot take what is pending.
  [[nodiscard]] bool full() const;
  [[nodiscard]] bool has_room() const;

  // Forgets what has been queued after the first `total` bytes; none of it was sent.
  void Truncate(std::uint64_t total);
  void Clear();

 private:
  [[nodiscard]] std::size_t memory_bytes() const {
    return pending_.size() - offset_ + after_file_.size();
  }
  [[nodiscard]] std::uint64_t file_end() const {
    return static_cast<std::uint64_t>(file_offset_) + file_left_;
  }
  [[nodiscard]] bool file_is_full() const {
    return spilling_ && file_limit_ > 0 && file_end() >= file_limit_;
  }
  void Keep(std::string_view bytes);
  bool OpenSpillFile();
  void SpillToFile(std::string_view bytes);
  Progress FlushBytes(int flags);
  Progress FlushFile(int file);
  void CloseFile();
  void Sent(std::size_t count);

  int socket_ = -1;  // the connection's
  std::uint64_t file_limit_ = 0;
  std::string pending_;
  std::size_t offset_ = 0;  // of pending_ that has been sent
  UniqueFd file_;
  bool spilling_ = false;  // file_ is the temporary one
  bool spill_failed_ = false;
  off_t file_offset_ = 0;
  std::uint64_t file_left_ = 0;
  std::string after_file_;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace gunid
