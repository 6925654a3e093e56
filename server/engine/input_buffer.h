// The bytes that one connection has received and still needs: the head of the current message,
// which stays contiguous, and what was not parsed yet. The memory comes from a pool while there is
// something to hold: idle connections hold none. Leading thread.
#pragma once

#include <cassert>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "http/request_parser.h"

namespace gunid {

class BufferPool {
 public:
  static constexpr std::size_t kBufferSize = 16 * 1024;
  // Of all buffers that had to grow, for heads that need more: a crowd of clients with large heads
  // must not take all memory.
  static constexpr std::size_t kMostLargeBytes = 64 * 1024 * 1024;

  std::unique_ptr<char[]> Take();
  void GiveBack(std::unique_ptr<char[]> buffer);

  // False if the large buffers would exceed their limit.
  bool ReserveLarge(std::size_t bytes);
  void ReleaseLarge(std::size_t bytes) { large_bytes_ -= bytes; }

 private:
  static constexpr std::size_t kMaxFree = 64;
  std::vector<std::unique_ptr<char[]>> free_;
  std::size_t large_bytes_ = 0;
};

class InputBuffer {
 public:
  explicit InputBuffer(BufferPool& pool) : pool_(pool) {}

  // Where to receive more; empty if the pool lets the buffer grow no more. Tells `parser` if the head of the
  // message had to move.
  std::span<char> MakeRoom(RequestParser& parser);
  void Received(std::size_t count) { size_ += count; }

  [[nodiscard]] std::span<char> unparsed() { return {data_.get() + parsed_, size_ - parsed_}; }
  [[nodiscard]] bool has_unparsed() const { return parsed_ < size_; }
  void Parsed(std::size_t count) {
    parsed_ += count;
    assert(parsed_ <= size_);
  }

  void EndHead() { head_end_ = parsed_; }  // what is parsed up to here stays
  void DropParsedBody();                   // what was parsed after the head is not needed any more
  void EndMessage();                       // nor is anything that was parsed
  void Release();                          // drops everything and gives the memory back

 private:
  static constexpr std::size_t kMinRoom = 2048;

  void MoveTo(char* destination, RequestParser& parser);
  bool Grow(RequestParser& parser);
  void GiveBackMemory();

  BufferPool& pool_;
  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t start_ = 0;     // of the message
  std::size_t head_end_ = 0;  // meaningful once the head is complete
  std::size_t parsed_ = 0;
  std::size_t size_ = 0;
};

}  // namespace gunid
