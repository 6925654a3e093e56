// The body of one request, complete before the application is called: in memory up to a limit, then
// in an unnamed temporary file. Filled by the engine, then read by the one executor thread
// that runs the exchange.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace gunid {

// Memory of bodies that are over, for the next ones: to give it back to the system and to get it again
// costs more than to copy what is in it. Leading thread.
class BodyMemoryPool {
 public:
  std::string Take();  // empty; of any capacity
  void GiveBack(std::string memory);

 private:
  static constexpr std::size_t kMaxFree = 4;
  std::vector<std::string> free_;
};

class BodyBuffer {
 public:
  static constexpr std::size_t kMemoryLimit = 128 * 1024;

  // Leading thread.
  void UsePool(BodyMemoryPool& pool) { pool_ = &pool; }
  // Both fail when the temporary file cannot be made or written. Complete() ends the appending.
  Status Append(std::string_view bytes);
  Status Complete();
  void Clear();  // for the next request; frees memory and file

  // Executor thread.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t remaining() const { return size_ - position_; }
  // The next bytes, at least one unless the end is reached or the file cannot be read; valid until
  // the next call. Take them with Consume().
  std::string_view Peek();
  void Consume(std::size_t count);

 private:
  void MakeRoom(std::size_t size);
  Status OpenFile();
  void ReadWindow();

  BodyMemoryPool* pool_ = nullptr;  // null: memory is its own

  // All of the body; or once there is a file, what is to be written to it, and then a window of it
  // that is being read.
  std::string memory_;
  std::uint64_t size_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t window_start_ = 0;  // offset of memory_ in the file
  UniqueFd file_;
};

}  // namespace gunid
