// A memfd that is mapped shared: made by one process, attached by those that inherit the
// descriptor. The size is sealed.
#pragma once

#include <cstddef>

#include "base/result.h"
#include "base/unique_fd.h"

namespace gunid {

class SharedMemory {
 public:
  static Result<SharedMemory> Create(const char* name, std::size_t size);
  static Result<SharedMemory> Attach(UniqueFd fd);

  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();

  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  SharedMemory(UniqueFd fd, void* data, std::size_t size)
      : fd_(std::move(fd)), data_(data), size_(size) {}

  UniqueFd fd_;
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace gunid
