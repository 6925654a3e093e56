#include "engine/body_buffer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/temporary_file.h"

namespace gunid {
namespace {

constexpr std::size_t kWindow = 64 * 1024;
constexpr std::size_t kKeptCapacity = 512;  // of an idle connection

}  // namespace

std::string BodyMemoryPool::Take() {
  if (free_.empty()) return {};
  std::string memory = std::move(free_.back());
  free_.pop_back();
  return memory;
}

void BodyMemoryPool::GiveBack(std::string memory) {
  if (free_.size() == kMaxFree) return;
  memory.clear();
  free_.push_back(std::move(memory));
}

// Small pieces are gathered: a body may come in chunks of a byte.
Status BodyBuffer::Append(std::string_view bytes) {
  const std::size_t most_in_memory = file_ ? kWindow : kMemoryLimit;
  if (memory_.size() + bytes.size() > most_in_memory) {
    if (Status status = file_ ? Status() : OpenFile(); !status.ok()) return status;
    if (Status status = Complete(); !status.ok()) return status;
  }
  MakeRoom(memory_.size() + bytes.size());
  memory_.append(bytes);
  size_ += bytes.size();
  return {};
}

// What does not fit into the memory of an idle connection goes to that of an earlier body.
void BodyBuffer::MakeRoom(std::size_t size) {
  if (pool_ == nullptr || size <= memory_.capacity() || memory_.capacity() > kKeptCapacity) return;
  std::string taken = pool_->Take();
  taken.append(memory_);
  memory_ = std::move(taken);
}

Status BodyBuffer::OpenFile() {
  Result<UniqueFd> file = OpenTemporaryFile();
  if (!file.ok()) return file.error();
  file_ = std::move(*file);
  return {};
}

Status BodyBuffer::Complete() {
  if (!file_ || memory_.empty()) return {};
  Status status = WriteAt(file_.get(), memory_, static_cast<off_t>(size_ - memory_.size()));
  memory_.clear();
  return status;
}

std::string_view BodyBuffer::Peek() {
  if (remaining() == 0) return {};
  if (file_ && position_ >= window_start_ + memory_.size()) ReadWindow();
  return std::string_view(memory_).substr(position_ - window_start_);
}

void BodyBuffer::ReadWindow() {
  memory_.resize(std::min<std::uint64_t>(kWindow, remaining()));
  window_start_ = position_;
  ssize_t got;
  do {
    got = ::pread(file_.get(), memory_.data(), memory_.size(), static_cast<off_t>(position_));
  } while (got < 0 && errno == EINTR);
  memory_.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
}

void BodyBuffer::Consume(std::size_t count) {
  position_ += std::min<std::uint64_t>(count, remaining());
}

void BodyBuffer::Clear() {
  memory_.clear();
  if (memory_.capacity() > kKeptCapacity) {
    std::string memory = std::exchange(memory_, {});
    if (pool_ != nullptr) pool_->GiveBack(std::move(memory));
  }
  size_ = position_ = window_start_ = 0;
  file_.Reset();
}

}  // namespace gunid
