#include "engine/connection.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <array>

#include "engine/engine.h"

namespace gunid {
namespace {

constexpr int kStepsPerTurn =
    32;  // before other connections get their turn; a request takes two to four
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// For answers to what could not be parsed.
const RequestHead kUnknownRequest;

// What the scoreboard shows; the query may hold secrets.
std::string_view PathOf(const RequestHead& request) {
  return request.target.substr(0, request.target.find('?'));
}

}  // namespace

Connection::Connection(Engine& engine)
    : engine_(engine), input_(engine.buffers_), parser_(engine.options_.limits) {
  body_sink_ = [this](std::string_view bytes) {
    if (body_status_.ok()) body_status_ = exchange_.body_.Append(bytes);
  };
  exchange_.connection_ = this;
  exchange_.peer_ = &peer_;
}

Connection::~Connection() {
  if (watched_) engine_.loop_.Remove(socket_.get(), this);
}

void Connection::Open(UniqueFd socket, PeerAddress peer, const ListenerAddress& listener) {
  socket_ = std::move(socket);
  peer_ = std::move(peer);
  exchange_.listener_ = &listener;
  exchange_.socket_ = socket_.get();
  exchange_.output_.Attach(socket_.get());
  state_ = State::kIdle;
  readable_ = true;  // most clients send at once
  ended_ = false;
  fresh_ = true;
  rejected_ = false;
  Proceed();
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
    case State::kWaiting:
    case State::kExecuting:
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

bool Connection::NeedMore() {
  if (state_ == State::kBody) {
    input_.DropParsedBody();
    Disarm();  // Settle() gives it new time: a long upload is no slow one
  } else if (!parser_.in_message()) {
    input_.EndMessage();  // empty lines before a request
  } else if (state_ == State::kIdle) {
    state_ = State::kHead;
    Disarm();
  }
  return true;
}

bool Connection::BeginBody() {
  state_ = State::kBody;
  input_.EndHead();
  const RequestHead& head = parser_.head();
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
  state_ = State::kWaiting;
  const RequestHead& head = parser_.head();
  exchange_.Start(head, head.keep_alive && engine_.may_keep_alive());
  return engine_.Dispatch(*this);
}

Exchange& Connection::BeginExecution() {
  state_ = State::kExecuting;
  fresh_ = false;
  const RequestHead& head = exchange_.request();
  exchange_.scoreboard_entry_ =
      engine_.slot_.BeginRequest(head.method, PathOf(head), MonotonicNs());
  return exchange_;
}

void Connection::EndExecution() {
  engine_.slot_.EndRequest(exchange_.scoreboard_entry_, exchange_.status(),
                           exchange_.output_.total_bytes());
  state_ = State::kFlushing;
  if (exchange_.failed_ || !exchange_.finished_) Reset();
}

bool Connection::Flush() {
  const std::uint64_t sent_before = exchange_.output_.bytes_sent();
  switch (exchange_.output_.Flush()) {
    case Output::Progress::kDone:
      return EndResponse();
    case Output::Progress::kBlocked:
      if (exchange_.output_.bytes_sent() > sent_before) Disarm();  // Settle() gives it new time
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
    if (rejected_ || readable_ || input_.has_unparsed()) {
      Linger();
    } else {
      // A process that the application forked may hold the socket, too: then close alone ends nothing.
      const bool ends_body = exchange_.framing() == BodyFraming::kUntilClose;
      if (ends_body) ::shutdown(socket_.get(), SHUT_WR);
      Close();
    }
    return true;
  }
  exchange_.body_.Clear();
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
  exchange_.Start(kUnknownRequest, false);
  exchange_.SendError(status, reason);
  state_ = State::kFlushing;
  if (exchange_.failed_) Close();
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
  if (state_ == State::kIdle || state_ == State::kLingering) input_.Release();
  if (state_ != State::kExecuting) Watch();
  DeadlineQueue* wanted = WantedDeadlines();
  if (wanted != nullptr && queue() != wanted) wanted->Arm(*this);
}

void Connection::Watch() {
  if (watched_ || state_ == State::kClosed) return;
  watched_ = engine_.loop_.Add(socket_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, this);
  if (watched_) return;
  spdlog::error("{}", Errno("watch a connection").message);
  if (state_ == State::kWaiting) engine_.Withdraw(*this);
  Close();
}

DeadlineQueue* Connection::WantedDeadlines() {
  switch (state_) {
    case State::kIdle:
      if (engine_.draining_) return &engine_.drain_deadlines_;
      return fresh_ ? &engine_.read_deadlines_ : &engine_.idle_deadlines_;
    case State::kHead:
    case State::kBody:
      return &engine_.read_deadlines_;
    case State::kFlushing:
      return &engine_.write_deadlines_;
    case State::kLingering:
      return &engine_.linger_deadlines_;
    case State::kWaiting:
    case State::kExecuting:
    case State::kClosed:
      break;
  }
  return nullptr;
}

void Connection::OnDeadline() {
  if (state_ == State::kHead || state_ == State::kBody) {
    Reject(408, "not received completely within the time limit");
    Proceed();
  } else {
    Reset();
  }
}

void Connection::Drain() {
  exchange_.draining_.store(true, std::memory_order_relaxed);
  if (state_ != State::kIdle) return;
  readable_ = true;  // what has come by now is served
  Proceed();
}

void Connection::Cut() {
  if (state_ == State::kExecuting) {
    ::shutdown(socket_.get(), SHUT_RDWR);
  } else if (state_ != State::kClosed) {
    Close();
  }
}

// A response without a length must not look complete when it is not.
void Connection::Reset() {
  if (exchange_.framing() == BodyFraming::kUntilClose) {
    const linger discard{1, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &discard, sizeof discard);
  }
  Close();
}

void Connection::Close() {
  Disarm();
  if (watched_) engine_.loop_.Remove(socket_.get(), this);
  watched_ = false;
  socket_.Reset();
  input_.Release();
  parser_.Reset();
  body_status_ = {};
  exchange_.body_.Clear();
  exchange_.output_.Clear();
  state_ = State::kClosed;
  engine_.Closed(*this);
}

}  // namespace gunid
