#include "engine/exchange.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>

#include "engine/connection.h"
#include "http/status_text.h"

namespace gunid {
namespace {

constexpr int kRoomPollMs = 100;
constexpr std::string_view kChunkEnd = "\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

// The line before the data of a chunk.
class ChunkSize {
 public:
  explicit ChunkSize(std::uint64_t size) {
    char* end = std::to_chars(text_.data(), text_.data() + text_.size(), size, 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    length_ = static_cast<std::size_t>(end - text_.data());
  }
  [[nodiscard]] std::string_view view() const { return {text_.data(), length_}; }

 private:
  std::array<char, 18> text_;  // 16 digits, CR, LF
  std::size_t length_;
};

ResponseHead HeadOfErrorPage(int status) {
  return ResponseHead(status, std::to_string(status) + " " + std::string(ReasonPhrase(status)),
                      {{"Content-Type", "text/html; charset=utf-8"}});
}

}  // namespace

void Exchange::Start(const RequestHead& request, bool may_keep_alive) {
  request_ = &request;
  encoded_ = {};
  status_ = 0;
  body_bytes_ = surplus_ = interim_bytes_ = 0;
  may_keep_alive_ = may_keep_alive;
  head_sent_ = finished_ = failed_ = client_too_slow_ = false;
  output_shared_ = false;
  answerer_.store(Answerer::kNobody, std::memory_order_relaxed);
  pending_since_.reset();
  scoreboard_entry_ = -1;
  output_.Clear();
  if (log_format_ != nullptr) ForgetLogged();
}

void Exchange::ForgetLogged() {
  response_fields_.assign(log_format_->response_fields.size(), std::nullopt);
  variables_.assign(log_format_->variables.size(), std::nullopt);
}

void Exchange::KeepLogged(const ResponseHead& head) {
  for (std::size_t i = 0; i < response_fields_.size(); ++i) {
    response_fields_[i] = head.Find(log_format_->response_fields[i]);
  }
}

std::unique_lock<std::mutex> Exchange::LockOutput() {
  std::unique_lock lock(output_mutex_, std::defer_lock);
  if (output_shared_) lock.lock();
  return lock;
}

Exchange::WriteStatus Exchange::SendEarlyHints(const ResponseFields& fields) {
  if (!BeginAnswer(Answerer::kApplication)) return WriteStatus::kClosed;
  auto lock = LockOutput();
  if (finished_ || failed_) return WriteStatus::kClosed;
  if (head_sent_ || request_->minor_version == 0) return WriteStatus::kOk;
  std::string hints;
  EncodeEarlyHints(fields, hints);
  const WriteStatus status = ToStatus(output_.Write({hints}), lock);
  interim_bytes_ = output_.total_bytes();
  return status;
}

bool Exchange::BeginAnswer(Answerer by) {
  Answerer before = answerer_.load(std::memory_order_acquire);
  if (before == by) return true;
  if (before == Answerer::kNobody &&
      answerer_.compare_exchange_strong(before, by, std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
    return true;
  }
  if (by == Answerer::kApplication) failed_ = true;  // the engine only, and nothing is shared yet
  return false;
}

std::optional<std::uint64_t> Exchange::Abandon() {
  if (!BeginAnswer(Answerer::kEngine)) return std::nullopt;
  const std::string page = ErrorPage(kAbandonedStatus, "");
  std::string answer;
  const bool head_request = request_->method == "HEAD";
  EncodeHead(HeadOfErrorPage(kAbandonedStatus),
             {.head_request = head_request,
              .minor_version = request_->minor_version,
              .keep_alive = false,
              .known_length = page.size()},
             answer);
  if (!head_request) answer += page;
  // Nothing was sent before, so it fits, or the client is gone.
  [[maybe_unused]] const ssize_t sent =
      ::send(socket_, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return head_request ? 0 : page.size();
}

void Exchange::SendHead(const ResponseHead& head, std::optional<std::uint64_t> known_length) {
  head_sent_ = true;
  if (!BeginAnswer(Answerer::kApplication)) return;
  ResponseContext context;
  context.head_request = request_->method == "HEAD";
  context.minor_version = request_->minor_version;
  context.keep_alive = may_keep_alive_ && !draining_.load(std::memory_order_relaxed);
  context.known_length = known_length;
  const auto lock = LockOutput();
  encoded_ = EncodeHead(head, context, output_.queue());
  status_ = head.status();
  if (!response_fields_.empty()) KeepLogged(head);
}

Exchange::WriteStatus Exchange::Write(std::string_view chunk) {
  assert(head_sent_);
  auto lock = LockOutput();
  if (finished_ || failed_) return WriteStatus::kClosed;
  chunk = chunk.substr(0, Admit(chunk.size()));
  if (chunk.empty()) return WriteStatus::kOk;
  if (encoded_.framing != BodyFraming::kChunked) return ToStatus(output_.Write({chunk}), lock);
  return ToStatus(output_.Write({ChunkSize(chunk.size()).view(), chunk, kChunkEnd}), lock);
}

Exchange::WriteStatus Exchange::SendFile(int file, off_t offset, std::uint64_t count) {
  assert(head_sent_ && !output_.has_file());
  auto lock = LockOutput();
  if (finished_ || failed_) return WriteStatus::kClosed;
  count = Admit(count);
  if (count == 0) return WriteStatus::kOk;
  if (encoded_.framing != BodyFraming::kChunked) {
    return ToStatus(output_.WriteFile(file, offset, count), lock);
  }
  output_.queue().append(ChunkSize(count).view());
  const WriteStatus status = ToStatus(output_.WriteFile(file, offset, count), lock);
  if (status == WriteStatus::kClosed) return status;
  output_.queue().append(kChunkEnd);
  return status;
}

std::uint64_t Exchange::Admit(std::uint64_t count) {
  std::uint64_t admitted = count;
  if (encoded_.framing == BodyFraming::kNone) {
    admitted = 0;
  } else if (encoded_.framing == BodyFraming::kContentLength) {
    admitted = std::min(count, encoded_.content_length - body_bytes_);
    surplus_ += count - admitted;
  }
  body_bytes_ += admitted;
  return admitted;
}

Exchange::WriteStatus Exchange::ToStatus(Output::Progress progress,
                                         std::unique_lock<std::mutex>& lock) {
  if (progress == Output::Progress::kFailed) failed_ = true;
  if (failed_) return WriteStatus::kClosed;
  const bool pending = progress != Output::Progress::kDone;
  NotePending(pending);
  if (pending && executing_ && !finished_ && !output_shared_) {
    lock.lock();  // until the caller is through with the output
    output_shared_ = true;
    connection_->OutputShared();
  }
  return output_.full() ? WriteStatus::kFull : WriteStatus::kOk;
}

void Exchange::NotePending(bool pending) {
  if (pending == pending_since_.has_value()) return;
  pending_since_ = pending ? std::optional(Clock().Now()) : std::nullopt;
}

bool Exchange::WaitForRoom(double timeout_s, const std::function<bool()>& pause) {
  bool begun = false;
  TimePoint since = Clock().Now();
  std::uint64_t taken = 0;  // by then
  while (true) {
    const TimePoint now = Clock().Now();
    {
      auto lock = LockOutput();
      if (failed_ || ToStatus(output_.Flush(), lock) == WriteStatus::kClosed) return false;
      if (output_.has_room()) return true;
      const bool judge = timeout_s > 0 && now - since >= FromSeconds(timeout_s);
      if (judge && output_.bytes_taken() - taken < timeout_s * kLeastRateToWaitFor) {
        failed_ = client_too_slow_ = true;
        return false;
      }
      if (judge || !begun) {
        begun = true;
        since = now;
        taken = output_.bytes_taken();
      }
    }
    if (!pause()) return false;
    connection_->ClientKeptWaiting(Clock().Now() - now);
  }
}

void Exchange::WaitForSocket() const {
  pollfd socket{socket_, POLLOUT, 0};
  ::poll(&socket, 1, kRoomPollMs);
}

bool Exchange::FlushShared() {
  const std::lock_guard lock(output_mutex_);
  if (failed_ || output_.empty()) return false;
  const Output::Progress progress = output_.Flush();
  NotePending(!output_.empty());
  failed_ = progress == Output::Progress::kFailed;
  return progress == Output::Progress::kMore;
}

void Exchange::FailShared() {
  const std::lock_guard lock(output_mutex_);
  failed_ = true;
}

Exchange::Sending Exchange::SharedSending() {
  const std::lock_guard lock(output_mutex_);
  return {pending_since_, output_.bytes_taken()};
}

void Exchange::Finish() {
  if (!head_sent_) return SendError(500, "");
  auto lock = LockOutput();
  if (finished_ || failed_) return;
  if (shortfall() > 0) encoded_.keep_alive = false;
  finished_ = true;
  const bool chunked = encoded_.framing == BodyFraming::kChunked;
  ToStatus(chunked ? output_.Write({kLastChunk}) : output_.Flush(), lock);
}

void Exchange::Abort() {
  const auto lock = LockOutput();
  failed_ = true;
}

void Exchange::SendError(int status, std::string_view detail) {
  if (!ForgetHead()) return Abort();
  body_bytes_ = surplus_ = 0;
  may_keep_alive_ = false;
  const std::string page = ErrorPage(status, detail);
  SendHead(HeadOfErrorPage(status), page.size());
  Write(page);
  Finish();
}

bool Exchange::ForgetHead() {
  const auto lock = LockOutput();
  if (failed_ || output_.bytes_sent() > interim_bytes_ || output_.has_file()) return false;
  output_.Truncate(interim_bytes_);
  return true;
}

std::uint64_t Exchange::shortfall() const {
  if (encoded_.framing != BodyFraming::kContentLength) return 0;
  return encoded_.content_length - body_bytes_;
}

}  // namespace gunid
