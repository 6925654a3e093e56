#include "engine/input_buffer.h"

#include <cstring>

namespace gunid {

std::unique_ptr<char[]> BufferPool::Take() {
  if (free_.empty()) return std::make_unique_for_overwrite<char[]>(kBufferSize);
  std::unique_ptr<char[]> buffer = std::move(free_.back());
  free_.pop_back();
  return buffer;
}

void BufferPool::GiveBack(std::unique_ptr<char[]> buffer) {
  if (free_.size() < kMaxFree) free_.push_back(std::move(buffer));
}

bool BufferPool::ReserveLarge(std::size_t bytes) {
  if (bytes > kMostLargeBytes - large_bytes_) return false;
  large_bytes_ += bytes;
  return true;
}

std::span<char> InputBuffer::MakeRoom(RequestParser& parser) {
  if (!data_) {
    data_ = pool_.Take();
    capacity_ = BufferPool::kBufferSize;
  }
  if (capacity_ - size_ < kMinRoom && start_ > 0) MoveTo(data_.get(), parser);
  if (capacity_ - size_ < kMinRoom && !Grow(parser) && capacity_ == size_) return {};
  return {data_.get() + size_, capacity_ - size_};
}

void InputBuffer::MoveTo(char* destination, RequestParser& parser) {
  const char* source = data_.get() + start_;
  std::memmove(destination, source, size_ - start_);
  if (parser.in_message()) parser.Rebase(source, destination);
  head_end_ -= start_;
  parsed_ -= start_;
  size_ -= start_;
  start_ = 0;
}

bool InputBuffer::Grow(RequestParser& parser) {
  const std::size_t capacity = 2 * capacity_;
  if (!pool_.ReserveLarge(capacity)) return false;
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  MoveTo(larger.get(), parser);
  GiveBackMemory();
  data_ = std::move(larger);
  capacity_ = capacity;
  return true;
}

void InputBuffer::GiveBackMemory() {
  if (capacity_ == BufferPool::kBufferSize) {
    pool_.GiveBack(std::move(data_));
  } else {
    pool_.ReleaseLarge(capacity_);
    data_.reset();
  }
}

void InputBuffer::DropParsedBody() {
  if (parsed_ == size_) parsed_ = size_ = head_end_;
}

void InputBuffer::EndMessage() {
  start_ = head_end_ = parsed_;
  if (parsed_ == size_) start_ = head_end_ = parsed_ = size_ = 0;
}

void InputBuffer::Release() {
  if (data_) GiveBackMemory();
  capacity_ = start_ = head_end_ = parsed_ = size_ = 0;
}

}  // namespace gunid
