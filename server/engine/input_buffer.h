// The bytes that one connection has received and still needs: the head of the current message,
// which stays contiguous, and what was not parsed yet. The memory comes from a pool while there is
// something to hold: idle connections hold none. Engine thread.
#pragma once

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

  std::unique_ptr<char[]> Take();
  void GiveBack(std::unique_ptr<char[]> buffer);

 private:
  static constexpr std::size_t kMaxFree = 64;
  std::vector<std::unique_ptr<char[]>> free_;
};

class InputBuffer {
 public:
  // More than this for one head is refused whatever the limits allow.
  static constexpr std::size_t kMaxCapacity = 64 * 1024 * 1024;

  explicit InputBuffer(BufferPool& pool) : pool_(pool) {}

  // Where to receive more; empty if the buffer is at its limit. Tells `parser` if the head of the
  // message had to move.
  std::span<char> MakeRoom(RequestParser& parser);
  void Received(std::size_t count) { size_ += count; }

  [[nodiscard]] std::span<char> unparsed() { return {data_.get() + parsed_, size_ - parsed_}; }
  [[nodiscard]] bool has_unparsed() const { return parsed_ < size_; }
  void Parsed(std::size_t count) { parsed_ += count; }

  void EndHead() { head_end_ = parsed_; }  // what is parsed up to here stays
  void DropParsedBody();                   // what was parsed after the head is not needed any more
  void EndMessage();                       // nor is anything that was parsed
  void Release();                          // drops everything and gives the memory back

 private:
  static constexpr std::size_t kMinRoom = 2048;

  void MoveTo(char* destination, RequestParser& parser);
  void Grow(RequestParser& parser);

  BufferPool& pool_;
  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t start_ = 0;     // of the message
  std::size_t head_end_ = 0;  // meaningful once the head is complete
  std::size_t parsed_ = 0;
  std::size_t size_ = 0;
};

}  // namespace gunid
