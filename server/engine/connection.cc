#include "engine/connection.h"

#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "base/forked_child.h"
#include "engine/engine.h"

namespace gunid {
namespace {

constexpr int kStepsPerTurn =
    32;  // before other connections get their turn; a request takes two to four
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// For answers to what could not be parsed.
const RequestHead kUnknownRequest;

}  // namespace

Connection::Connection(Engine& engine)
    : engine_(engine),
      input_(engine.buffers_),
      parser_(engine.options_.limits, engine.options_.laxity) {
  body_sink_ = [this](std::string_view bytes) {
    if (body_status_.ok()) body_status_ = exchange_.body_.Append(bytes);
  };
  exchange_.connection_ = this;
  exchange_.peer_ = &peer_;
  exchange_.body_.UsePool(engine.body_memory_);
  if (engine.access_log_ != nullptr) exchange_.log_format_ = &engine.access_log_->format();
}

Connection::~Connection() {
  if (watched_) engine_.loop_.Remove(socket_.get(), this);
}

void Connection::Open(Arrival arrival) {
  const EngineOptions& options = engine_.options_;
  socket_ = std::move(arrival.socket);
  peer_ = std::move(arrival.peer);
  exchange_.listener_ = &arrival.listener;
  exchange_.socket_ = socket_.get();
  exchange_.output_.Attach(socket_.get(), options.response_buffer_limit);
  state_ = State::kIdle;
  readable_ = true;  // most clients send at once
  fresh_ = arrival.fresh;
  ended_ = rejected_ = false;
  const auto& ip = arrival.ip;
  trusted_ = !ip || options.forwarders.Contains(*ip);
  proxy_expected_ = fresh_ && options.proxy_protocol != ProxyProtocol::kOff;
  may_proxy_ = proxy_expected_ && (!ip || options.proxies.Contains(*ip));
  if (engine_.draining_ && HandOver()) return;
  Proceed();
  const bool arriving = state_ == State::kIdle || state_ == State::kHead || state_ == State::kBody;
  if (!fresh_ || !arriving) return;
  expected_ = engine_.Expect(expected_in_);
}

void Connection::MetExpectation() {
  if (expected_) engine_.ExpectNoMore(expected_in_);
  expected_ = false;
}

void Connection::OnEvents(std::uint32_t events) {
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readable_ = true;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) ended_ = true;
  if (state_ == State::kWaiting && (events & (EPOLLHUP | EPOLLERR))) {
    engine_.Withdraw(*this);
    Close();
  }
  Proceed();
}

void Connection::Proceed() {
  for (int i = 0; i < kStepsPerTurn; ++i) {
    if (!Step()) return Settle();
  }
  engine_.ContinueLater(*this);
}

bool Connection::Step() {
  switch (state_) {
    case State::kIdle:
    case State::kHead:
    case State::kBody:
      return input_.has_unparsed() ? Parse() : Receive();
    case State::kFlushing:
      return Flush();
    case State::kLingering:
      return DiscardInput();
    case State::kExecuting:
      return owns_output_ && exchange_.FlushShared();
    case State::kWaiting:
    case State::kClosed:
      break;
  }
  return false;
}

bool Connection::Receive() {
  if (!readable_) return false;
  const std::span<char> room = input_.MakeRoom(parser_);
  if (room.empty()) {
    Reject(431, "request head too large");
    return true;
  }
  const ssize_t got = ::recv(socket_.get(), room.data(), room.size(), 0);
  if (got > 0) {
    const auto count = static_cast<std::size_t>(got);
    input_.Received(count);
    readable_ = ended_ || count == room.size();
    return true;
  }
  if (got < 0 && errno == EINTR) return true;
  readable_ = false;
  if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) Close();
  return false;
}

bool Connection::Parse() {
  if (proxy_expected_) return ParseProxyHeader();
  std::size_t consumed = 0;
  const RequestParser::State result = parser_.Feed(input_.unparsed(), consumed, body_sink_);
  input_.Parsed(consumed);
  if (!body_status_.ok()) {
    spdlog::error("{}", body_status_.error().message);
    Answer(500, "");
    return true;
  }
  switch (result) {
    case RequestParser::State::kNeedMore:
      return NeedMore();
    case RequestParser::State::kHeadComplete:
      return BeginBody();
    case RequestParser::State::kMessageComplete:
      return EndMessage();
    case RequestParser::State::kError:
      Reject(parser_.error().status, parser_.error().reason);
      return true;
  }
  return false;
}

// The header is optional, as in Gunicorn: a health check may come without one.
bool Connection::ParseProxyHeader() {
  const std::span<char> input = input_.unparsed();
  ProxyHeaderScan scan = ScanProxyHeader(std::string_view(input.data(), input.size()),
                                         engine_.options_.proxy_protocol);
  using Outcome = ProxyHeaderScan::Outcome;
  if (scan.outcome == Outcome::kNeedMore) {
    state_ = State::kHead;
    return Receive();
  }
  proxy_expected_ = false;
  state_ = State::kIdle;
  if (scan.outcome == Outcome::kAbsent) return true;
  if (!may_proxy_ || scan.outcome == Outcome::kMalformed) {
    Reject(may_proxy_ ? 400 : 403,
           may_proxy_ ? scan.reason : "PROXY header from a peer that may not send one");
    return true;
  }
  if (scan.outcome == Outcome::kAddresses) {
    proxy_ = std::make_unique<ProxyHeader>(std::move(scan.header));
    peer_ = {proxy_->client_host, proxy_->client_port};
  }
  input_.Parsed(scan.length);
  input_.EndMessage();
  return true;
}

bool Connection::NeedMore() {
  if (state_ == State::kBody) {
    input_.DropParsedBody();
  } else if (!parser_.in_message()) {
    input_.EndMessage();  // empty lines before a request
  } else if (state_ == State::kIdle) {
    state_ = State::kHead;
    Disarm();
  }
  return true;
}

bool Connection::BeginBody() {
  Disarm();
  late_ = false;
  state_ = State::kBody;
  input_.EndHead();
  RequestHead& head = parser_.head();
  if (const auto error = ApplyForwarding(engine_.options_.forwarding, trusted_, head)) {
    Reject(error->status, error->reason);
    return true;
  }
  if (head.expect_continue && head.has_body() && !input_.has_unparsed()) SendContinue();
  if (state_ == State::kClosed) return false;
  return Parse();  // also without input: there may be no body
}

void Connection::SendContinue() {
  // Everything before was flushed, so only a client that is gone or broken cannot take these bytes.
  const ssize_t sent = ::send(socket_.get(), kContinue.data(), kContinue.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(kContinue.size())) Close();
}

bool Connection::EndMessage() {
  Disarm();
  late_ = false;
  if (body_status_ = exchange_.body_.Complete(); !body_status_.ok()) {
    spdlog::error("{}", body_status_.error().message);
    Answer(500, "");
    return true;
  }
  MetExpectation();
  state_ = State::kWaiting;
  if (engine_.access_log_ != nullptr) complete_at_ = Clock().Now();
  const RequestHead& head = parser_.head();
  exchange_.proxy_ = proxy_.get();
  if (engine_.lost()) {
    Answer(503, "");
    return true;
  }
  exchange_.Start(head, head.keep_alive && engine_.may_keep_alive());
  engine_.Dispatch(*this);
  return false;
}

Exchange& Connection::BeginExecution() {
  state_ = State::kExecuting;
  fresh_ = false;
  const RequestHead& head = exchange_.request();
  exchange_.executing_ = true;
  exchange_.serial_ = engine_.NextSerial();
  exchange_.scoreboard_entry_ = engine_.slot_.BeginRequest({.method = head.method,
                                                            .path = head.TargetWithoutQuery(),
                                                            .client = peer_.host,
                                                            .serial = exchange_.serial_,
                                                            .now_ns = MonotonicNs()});
  return exchange_;
}

void Connection::EndExecution() {
  engine_.slot_.EndRequest(exchange_.scoreboard_entry_, exchange_.status(),
                           exchange_.output_.total_bytes());
  exchange_.executing_ = false;
  const bool abandoned = abandoned_;
  abandoned_ = false;
  if (!abandoned) Log(exchange_.status(), exchange_.body_bytes());
  if (abandoned) --engine_.abandoned_;
  owns_output_ = false;
  exchange_.body_.Clear();
  Disarm();  // the client has its time from now on, however long the application took
  state_ = State::kFlushing;
  if (exchange_.client_too_slow_) DiscardOutput();
  if (abandoned || exchange_.failed_ || !exchange_.finished_) Reset();
}

// While it is waiting or executing the request is complete. What an abandoned one may still be writing
// is left out.
void Connection::Log(int status, std::optional<std::uint64_t> body_bytes) {
  if (engine_.access_log_ == nullptr || engine_.checking_health_) return;
  AccessEntry entry{.request = exchange_.request(),
                    .client = peer_.host,
                    .status = status == 0 ? std::nullopt : std::optional<std::uint64_t>(status),
                    .body_bytes = body_bytes};
  if (state_ == State::kWaiting || state_ == State::kExecuting) {
    entry.duration = Clock().Now() - complete_at_;
  }
  if (!abandoned_) {
    entry.response_fields = exchange_.response_fields_;
    entry.variables = exchange_.variables_;
  }
  engine_.access_log_->Add(entry);
}

void Connection::ClientKeptWaiting(Nanoseconds time) {
  engine_.slot_.PostponeRequest(exchange_.scoreboard_entry_,
                                static_cast<std::uint64_t>(time.count()));
}

void Connection::OutputShared() {
  engine_.OutputShared(*this);
}

void Connection::TakeOverOutput() {
  owns_output_ = true;
  Proceed();
}

void Connection::Abandon(std::uint64_t serial) {
  if (state_ != State::kExecuting || abandoned_ || exchange_.serial() != serial) return;
  abandoned_ = true;
  const std::optional<std::uint64_t> answered = exchange_.Abandon();
  Log(answered ? Exchange::kAbandonedStatus : 0, answered);  // the call may never end
  ::shutdown(socket_.get(), SHUT_WR);
  engine_.Abandoned();
}

void Connection::Refuse() {
  Answer(503, "");
  Proceed();
}

bool Connection::Flush() {
  switch (exchange_.output_.Flush()) {
    case Output::Progress::kDone:
      return EndResponse();
    case Output::Progress::kMore:
      return true;
    case Output::Progress::kBlocked:
      return false;
    case Output::Progress::kFailed:
      Reset();
      return false;
  }
  return false;
}

bool Connection::EndResponse() {
  Disarm();
  if (!exchange_.encoded_.keep_alive) {
    if (rejected_ || readable_ || input_.has_unparsed() || HasUnreadInput()) {
      Linger();
    } else {
      // A process that the application forked may hold the socket, too: then close alone ends nothing.
      const bool ends_body = exchange_.framing() == BodyFraming::kUntilClose;
      if (ends_body || HasForked()) ::shutdown(socket_.get(), SHUT_WR);
      Close();
    }
    return true;
  }
  parser_.Reset();
  input_.EndMessage();
  state_ = State::kIdle;
  return true;
}

void Connection::Reject(int status, std::string_view reason) {
  spdlog::warn("Invalid request from ip={}: {}", peer_.host, reason);
  Answer(status, reason);
}

void Connection::Answer(int status, std::string_view reason) {
  Disarm();
  rejected_ = true;
  const RequestHead& head = parser_.head();  // as much of it as is known: HEAD has no body
  exchange_.Start(head.method.empty() ? kUnknownRequest : head, false);
  exchange_.SendError(status, reason);
  Log(status, exchange_.body_bytes());
  state_ = State::kFlushing;
  if (exchange_.failed_) Close();
}

// Also where the event loop has not told of it: not watched yet, or the application ran inline.
bool Connection::HasUnreadInput() const {
  int unread = 0;
  return ::ioctl(socket_.get(), FIONREAD, &unread) == 0 && unread > 0;
}

void Connection::Linger() {
  state_ = State::kLingering;
  readable_ = true;
  ::shutdown(socket_.get(), SHUT_WR);
}

bool Connection::DiscardInput() {
  if (!readable_) return false;
  std::array<char, 16 * 1024> discarded;
  const ssize_t got = ::recv(socket_.get(), discarded.data(), discarded.size(), 0);
  if (got > 0 || (got < 0 && errno == EINTR)) return true;
  readable_ = false;
  if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) Close();
  return false;
}

void Connection::Settle() {
  if (state_ == State::kClosed) return;
  if (state_ == State::kIdle && engine_.drain_begun_ && HandOver()) return;
  if (state_ == State::kIdle || state_ == State::kLingering) input_.Release();
  if (state_ != State::kExecuting || owns_output_) Watch();
  DeadlineQueue* wanted = WantedDeadlines();
  if (wanted == nullptr || queue() == wanted) return;
  progress_ = Progress();
  wanted->Arm(*this);
}

void Connection::Watch() {
  if (watched_ || state_ == State::kClosed) return;
  watched_ = engine_.loop_.Add(socket_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, this);
  if (watched_) return;
  spdlog::error("{}", Errno("watch a connection").message);
  if (state_ == State::kWaiting) engine_.Withdraw(*this);
  if (state_ == State::kExecuting) return exchange_.FailShared();
  Close();
}

DeadlineQueue* Connection::WantedDeadlines() {
  switch (state_) {
    case State::kIdle:
      if (engine_.server_stops_ && !fresh_) return &engine_.stop_deadlines_;
      if (engine_.draining_) return &engine_.drain_deadlines_;
      return fresh_ ? &engine_.head_deadlines_ : &engine_.idle_deadlines_;
    case State::kHead:
      return &engine_.head_deadlines_;
    case State::kBody:
      return &engine_.body_deadlines_;
    case State::kExecuting:
      return owns_output_ ? &engine_.write_deadlines_ : nullptr;
    case State::kFlushing:
      return &engine_.write_deadlines_;
    case State::kLingering:
      return &engine_.linger_deadlines_;
    case State::kWaiting:
    case State::kClosed:
      break;
  }
  return nullptr;
}

// In bytes: of the body that have come, or of the response that have arrived.
std::uint64_t Connection::Progress() {
  if (state_ == State::kBody) return exchange_.body_.size();
  if (state_ == State::kFlushing) return exchange_.output_.bytes_taken();
  return state_ == State::kExecuting ? exchange_.SharedSending().bytes_taken : 0;
}

bool Connection::ProgressIsEnough(double deadline_s) {
  return static_cast<double>(Progress() - progress_) >= deadline_s * EngineOptions::kLeastRate;
}

// For all of the time to write. What the application has just produced is no sign of a slow client.
bool Connection::HasBeenPending() {
  const auto since = exchange_.SharedSending().pending_since;
  return since && Clock().Now() - *since >= FromSeconds(engine_.options_.write_s);
}

// What has come is looked at first: the application may have kept the engine busy meanwhile.
void Connection::OnReadDeadline() {
  const std::uint64_t progress = progress_;
  late_ = readable_ = true;
  Proceed();
  const bool arriving = state_ == State::kHead || state_ == State::kBody;
  const bool late = late_;  // no message ended meanwhile
  late_ = false;
  if (!late || !arriving) return;
  progress_ = progress;
  if (state_ == State::kBody && ProgressIsEnough(engine_.options_.body_s)) {
    progress_ = Progress();
    return;
  }
  Reject(408, "not received completely within the time limit");
  Proceed();
}

void Connection::OnDeadline() {
  switch (state_) {
    case State::kHead:
    case State::kBody:
      return OnReadDeadline();
    case State::kExecuting:
      if (!ProgressIsEnough(engine_.options_.write_s) && HasBeenPending()) {
        exchange_.FailShared();
        DiscardOutput();
        ::shutdown(socket_.get(), SHUT_RDWR);
        return;
      }
      break;
    case State::kFlushing:
      if (!ProgressIsEnough(engine_.options_.write_s)) {
        DiscardOutput();
        Close();
      }
      break;
    case State::kIdle:
      if (HasUnreadInput()) {  // it has come in time, and was not looked at yet
        readable_ = true;
        break;
      }
      Close();
      break;
    case State::kWaiting:
    case State::kLingering:
    case State::kClosed:
      Close();
      break;
  }
  Proceed();
}

void Connection::Drain() {
  exchange_.draining_.store(true, std::memory_order_relaxed);
  if (state_ != State::kIdle || HandOver()) return;
  readable_ = true;  // what has come by now is served
  Proceed();
}

// Input that is still in the kernel goes along. What a PROXY header says would not.
bool Connection::HandOver() {
  if (proxy_ || proxy_expected_ || input_.has_unparsed()) return false;
  if (!engine_.HandOver(socket_.get(), *exchange_.listener_, fresh_)) return false;
  Close();
  return true;
}

void Connection::Cut() {
  if (state_ == State::kExecuting) {
    ::shutdown(socket_.get(), SHUT_RDWR);
  } else if (state_ != State::kClosed) {
    Close();
  }
}

// The close will be a reset: nothing that was sent is kept for the client any more.
void Connection::DiscardOutput() {
  const linger discard{1, 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &discard, sizeof discard);
}

// A response without a length must not look complete when it is not.
void Connection::Reset() {
  if (exchange_.framing() == BodyFraming::kUntilClose) DiscardOutput();
  Close();
}

void Connection::Close() {
  Disarm();
  MetExpectation();
  if (watched_) engine_.loop_.Remove(socket_.get(), this);
  watched_ = false;
  socket_.Reset();
  input_.Release();
  parser_.Reset();
  body_status_ = {};
  exchange_.body_.Clear();
  exchange_.output_.Clear();
  proxy_.reset();
  state_ = State::kClosed;
  engine_.Closed(*this);
}

}  // namespace gunid
