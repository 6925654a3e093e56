// One request with its response: what the engine hands to an executor, and all that an executor
// sees of a connection.
//
// Ownership. An Exchange is a member of its Connection and is used again for each request on it.
// Every field belongs to the engine until Turn() returns it, to the one executor thread that runs it
// from then until its Complete() or CompleteLater(), and to the engine again after that. Nothing is
// locked: the hand-over (the same thread, leadership, or the mutex of notices) orders the memory.
// While the exchange runs the engine does not read from the socket and does not free the connection.
//
//   field                    engine (leading thread)     executor thread
//   request, body, peer      writes before it runs       reads
//   output                   flushes after completion    writes
//   framing, counters        reads after completion      writes
//   draining (atomic)        writes at any time          reads when the head is sent
//
// One exception: what a client does not take at once has to go on its way while the application is
// busy with the rest (PEP 3333, "Buffering and Streaming"). When a write leaves something pending,
// the output and `failed_` are shared with the engine from then on (OutputShared), and guarded by a
// mutex until the completion.
//
// The other: a request that does not end is answered by the engine (Abandon), if the application has
// not begun to answer: `answerer_` decides between the two.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "engine/access_log.h"
#include "engine/body_buffer.h"
#include "engine/output.h"
#include "http/proxy_header.h"
#include "http/request_head.h"
#include "http/response_head.h"
#include "ipc/listeners.h"

namespace gunid {

// The other end of a connection; numeric. "" and 0 for a Unix socket.
struct PeerAddress {
  std::string host;
  int port = 0;
};

class Connection;

class Exchange {
 public:
  static constexpr double kLeastRateToWaitFor = 64 * 1024;  // bytes per second

  enum class WriteStatus {
    kOk,
    kFull,    // accepted, but too much is pending: call WaitForRoom before writing more
    kClosed,  // the client is gone, or the response is complete already; nothing more will be sent
  };

  // Request. Views stay valid until the exchange is completed.
  [[nodiscard]] const RequestHead& request() const { return *request_; }
  BodyBuffer& body() { return body_; }
  [[nodiscard]] const PeerAddress& peer() const { return *peer_; }
  [[nodiscard]] const ListenerAddress& listener() const { return *listener_; }

  // Its number in this worker, from 1.
  [[nodiscard]] std::uint64_t serial() const { return serial_; }

  // What a PROXY header said of the connection, or null.
  [[nodiscard]] const ProxyHeader* proxy() const { return proxy_; }

  // Response: SendHead, any number of Write or one SendFile, then Finish or Abort. Executor thread.
  //
  // Before the head, any number of times: an interim 103 response (RFC 8297), sent at once. Does
  // nothing once the head was sent, or for a client of HTTP/1.0.
  WriteStatus SendEarlyHints(const ResponseFields& fields);
  //
  // `known_length`: of the whole body where the application's iterable tells it (a list of one
  // item). The head is kept and goes out with the first bytes of the body.
  void SendHead(const ResponseHead& head, std::optional<std::uint64_t> known_length);
  WriteStatus Write(std::string_view chunk);
  // `count` bytes of a regular file from `offset`, by sendfile. The caller keeps the descriptor.
  // Only as the first of the body: see can_send_file().
  [[nodiscard]] bool can_send_file() const { return !head_sent_ && !may_wait_to_write(); }
  WriteStatus SendFile(int file, off_t offset, std::uint64_t count);
  // After kFull. False: the client is gone, or took less than kLeastRateToWaitFor for `timeout_s` (0:
  // no limit): it holds up the application. Otherwise there is room for more. Until then `pause` is
  // called again and again: it waits for a moment, for example by WaitForSocket(), or returns false to
  // give up. The time does not count for the request's deadline.
  bool WaitForRoom(double timeout_s, const std::function<bool()>& pause);
  // Blocks for a moment, or until the client has taken something.
  void WaitForSocket() const;
  // The body is complete. A body shorter than its Content-Length closes the connection; see
  // shortfall().
  void Finish();
  // The response cannot be completed: the connection is closed so that the client sees it is
  // truncated.
  void Abort();
  // A whole small response of the server's own, before any head was sent; the connection is closed
  // after it.
  void SendError(int status, std::string_view detail);

  // The variables of the WSGI environ that the access log has, by names of any case, and their values
  // after the call. Executor thread.
  [[nodiscard]] std::span<const std::string> logged_variables() const {
    return log_format_ == nullptr ? std::span<const std::string>() : log_format_->variables;
  }
  void LogVariable(std::size_t index, std::string_view value) { variables_[index] = value; }

  // A write may have to wait for the engine, or for a disk. Executor thread.
  [[nodiscard]] bool may_wait_to_write() const { return output_shared_ || output_.has_file(); }

  [[nodiscard]] bool head_sent() const { return head_sent_; }  // SendHead was called
  [[nodiscard]] int status() const {
    return answerer_.load(std::memory_order_acquire) == Answerer::kEngine ? kAbandonedStatus
                                                                          : status_;
  }
  [[nodiscard]] BodyFraming framing() const { return encoded_.framing; }
  [[nodiscard]] std::uint64_t body_bytes() const {
    return body_bytes_;
  }  // sent or pending, unframed
  // Bytes that the application declared and did not deliver; valid after Finish().
  [[nodiscard]] std::uint64_t shortfall() const;
  // Bytes beyond the declared Content-Length that were dropped.
  [[nodiscard]] std::uint64_t surplus() const { return surplus_; }

 private:
  friend class Connection;

  static constexpr int kAbandonedStatus = 504;
  enum class Answerer : std::uint8_t { kNobody, kApplication, kEngine };

  // Engine: before it is executed, and for an answer that the engine gives by itself. `request` is
  // only borrowed.
  void Start(const RequestHead& request, bool may_keep_alive);

  // Engine, while the executor runs and after OutputShared: writes what is pending. True if there is
  // more to do at once.
  bool FlushShared();
  // Engine, likewise: the client takes nothing, or is gone.
  void FailShared();
  // Engine, while the executor runs: a 504 for the client, unless the application answers already: then
  // nullopt, otherwise the bytes of its body.
  std::optional<std::uint64_t> Abandon();
  struct Sending {
    std::optional<TimePoint> pending_since;
    std::uint64_t bytes_taken;
  };
  [[nodiscard]] Sending SharedSending();

  void ForgetLogged();
  void KeepLogged(const ResponseHead& head);
  bool BeginAnswer(Answerer by);  // false: the other one answers

  [[nodiscard]] std::unique_lock<std::mutex> LockOutput();
  void NotePending(bool pending);
  // Takes back what is queued of the final response; false if some of it is on its way.
  bool ForgetHead();
  WriteStatus ToStatus(Output::Progress progress, std::unique_lock<std::mutex>& lock);
  // How much of `count` bytes more the framing lets through; counts the rest as surplus.
  std::uint64_t Admit(std::uint64_t count);

  const RequestHead* request_ = nullptr;
  const PeerAddress* peer_ = nullptr;
  const ListenerAddress* listener_ = nullptr;
  const ProxyHeader* proxy_ = nullptr;
  int socket_ = -1;
  BodyBuffer body_;
  Output output_;
  std::mutex output_mutex_;                 // locked only while output_shared_
  std::optional<TimePoint> pending_since_;  // guarded like the output
  bool output_shared_ = false;              // written by the executor thread
  std::uint64_t interim_bytes_ = 0;
  EncodedHead encoded_;
  int status_ = 0;
  std::uint64_t body_bytes_ = 0;
  std::uint64_t surplus_ = 0;
  std::atomic<Answerer> answerer_{Answerer::kNobody};
  bool executing_ = false;
  bool may_keep_alive_ = false;
  bool head_sent_ = false;
  bool finished_ = false;
  bool failed_ = false;                // close without ceremony
  bool client_too_slow_ = false;       // and drop what the system holds for the client
  std::atomic<bool> draining_{false};  // the worker retires: answer with Connection: close
  const AccessLogFormat* log_format_ = nullptr;  // null: no access log
  LoggedValues response_fields_;                 // that the format wants
  LoggedValues variables_;                       // likewise
  std::uint64_t serial_ = 0;
  int scoreboard_entry_ = -1;
  Connection* connection_ = nullptr;  // that it is a member of
};

}  // namespace gunid
