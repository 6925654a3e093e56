#include "engine/body_buffer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/temporary_file.h"

namespace gunid {
namespace {

constexpr std::size_t kWindow = 64 * 1024;
constexpr std::size_t kKeptCapacity = 512;  // of an idle connection

}  // namespace

Status BodyBuffer::Append(std::string_view bytes) {
  if (!file_ && memory_.size() + bytes.size() > kMemoryLimit) {
    if (Status status = Spill(); !status.ok()) return status;
  }
  if (file_) {
    if (Status status = WriteAt(file_.get(), bytes, static_cast<off_t>(size_)); !status.ok())
      return status;
  } else {
    memory_.append(bytes);
  }
  size_ += bytes.size();
  return {};
}

Status BodyBuffer::Spill() {
  Result<UniqueFd> file = OpenTemporaryFile();
  if (!file.ok()) return file.error();
  if (Status status = WriteAt(file->get(), memory_, 0); !status.ok()) return status;
  file_ = std::move(*file);
  memory_.clear();
  return {};
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
  if (memory_.capacity() > kKeptCapacity) memory_.shrink_to_fit();
  size_ = position_ = window_start_ = 0;
  file_.Reset();
}

}  // namespace gunid
