// One client connection: a state machine on the thread that leads, owned by the engine and used again
// for other clients.
//
//   state      waits for                       then
//   idle       the first byte of a request     head; EOF, keep-alive deadline: closed
//                                              drain: handed over, or after a moment closed
//   head       the end of the request head     body; error, deadline (408): flushing
//              (before the first one: and of the PROXY header)
//   body       the end of the message          waiting; error, deadline (408): flushing
//   waiting    a free place in the executor    executing; client gone: closed
//   executing  the executor to complete it     flushing; aborted or abandoned: closed
//              (what the client does not take at once is written meanwhile, once it is shared)
//   flushing   the socket to take the output   idle, lingering or closed; deadline: closed
//   lingering  the client's EOF, 2 s at most   closed
//   closed     being opened again              idle
//
// Lingering discards input: a close with unread input would be a reset, which destroys the response
// on its way.
//
// Edge-triggered: `readable_` remembers an edge until the socket is drained. The socket is
// registered when the connection first has to wait, so a request that came with the connection is
// answered without any epoll_ctl.
#pragma once

#include <memory>
#include <optional>

#include "base/event_loop.h"
#include "base/ip_network.h"
#include "engine/deadline_queue.h"
#include "engine/exchange.h"
#include "engine/input_buffer.h"
#include "http/request_parser.h"

namespace gunid {

class Engine;
struct Arrival;

class Connection : public EventHandler, private Deadline {
 public:
  explicit Connection(Engine& engine);
  ~Connection() override;

  static Connection& Of(Exchange& exchange) { return *exchange.connection_; }

  void Open(Arrival arrival);
  // Does all that can be done now, within a budget.
  void Proceed();
  void Drain();
  void Cut();  // closes it; while it is executing only the socket is shut down

  // Called by the engine when there is a place in the executor, and when the executor is through.
  Exchange& BeginExecution();
  void EndExecution();
  // Called by the engine after OutputShared(): writes from now on what is pending.
  void TakeOverOutput();
  // If it is executing that request.
  void Abandon(std::uint64_t serial);
  // While it waits for a place: there will be none.
  void Refuse();

  // Executor's thread, by its Exchange.
  void OutputShared();
  void ClientKeptWaiting(Nanoseconds time);  // which is not the application's

 private:
  enum class State { kIdle, kHead, kBody, kWaiting, kExecuting, kFlushing, kLingering, kClosed };

  void OnEvents(std::uint32_t events) override;
  void OnDeadline() override;
  void OnReadDeadline();

  // Steps: true if there may be more to do at once.
  bool Step();
  bool Receive();
  bool Parse();
  bool ParseProxyHeader();
  bool NeedMore();
  bool BeginBody();
  bool EndMessage();
  bool Flush();
  bool EndResponse();
  [[nodiscard]] bool HasUnreadInput() const;
  // True: another worker has it, and it is closed here.
  bool HandOver();
  bool DiscardInput();

  void Settle();  // what has to be so while the connection waits
  void Watch();
  DeadlineQueue* WantedDeadlines();
  [[nodiscard]] std::uint64_t Progress();
  [[nodiscard]] bool HasBeenPending();
  [[nodiscard]] bool ProgressIsEnough(double deadline_s);  // since the deadline was armed
  void Reject(int status, std::string_view reason);        // an invalid request
  void Answer(int status, std::string_view reason);        // by the engine itself; then closes
  void SendContinue();
  void Log(int status, std::optional<std::uint64_t> body_bytes);
  void MetExpectation();
  void Linger();
  void DiscardOutput();
  void Reset();  // closes before the response is complete
  void Close();

  Engine& engine_;
  UniqueFd socket_;
  PeerAddress peer_;
  std::unique_ptr<ProxyHeader> proxy_;
  State state_ = State::kClosed;
  bool watched_ : 1 = false;   // in the event loop
  bool readable_ : 1 = false;  // a recv may yield something
  bool ended_ : 1 = false;  // the client has shut down its side: a short recv does not mean drained
  bool fresh_ : 1 = false;  // no request yet
  bool rejected_ : 1 = false;        // the engine answered by itself: input may be left
  bool trusted_ : 1 = false;         // the peer's forwarded headers hold
  bool may_proxy_ : 1 = false;       // the peer may send a PROXY header
  bool proxy_expected_ : 1 = false;  // and it may be what comes next
  bool abandoned_ : 1 = false;       // while executing: the client has been told so
  bool owns_output_ : 1 = false;     // while executing: the engine writes what is pending
  bool late_ : 1 = false;            // the deadline of the message is over
  bool expected_ : 1 = false;        // counted by Engine::Expect()
  std::uint64_t expected_in_ = 0;    // the moment of that
  std::uint64_t progress_ = 0;       // when the current deadline was armed
  TimePoint complete_at_;            // the request, if there is an access log

  InputBuffer input_;
  RequestParser parser_;
  RequestParser::BodySink body_sink_;
  Status body_status_;
  Exchange exchange_;
};

}  // namespace gunid
