// One client connection: a state machine on the engine's thread, owned by the engine and used again
// for other clients.
//
//   state      waits for                       then
//   idle       the first byte of a request     head; EOF, keep-alive deadline, drain: closed
//   head       the end of the request head     body; error, deadline (408): flushing
//   body       the end of the message          waiting; error, deadline (408): flushing
//   waiting    a free place in the executor    executing; client gone: closed
//   executing  the executor's Completed()      flushing; aborted: closed
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

#include "base/event_loop.h"
#include "engine/deadline_queue.h"
#include "engine/exchange.h"
#include "engine/input_buffer.h"
#include "http/request_parser.h"

namespace gunid {

class Engine;

class Connection : public EventHandler, private Deadline {
 public:
  explicit Connection(Engine& engine);
  ~Connection() override;

  static Connection& Of(Exchange& exchange) { return *exchange.connection_; }

  void Open(UniqueFd socket, PeerAddress peer, const ListenerAddress& listener);
  // Does all that can be done now, within a budget.
  void Proceed();
  void Drain();
  void Cut();  // closes it; while it is executing only the socket is shut down

  // Called by the engine when there is a place in the executor, and when the executor is through.
  Exchange& BeginExecution();
  void EndExecution();

 private:
  enum class State { kIdle, kHead, kBody, kWaiting, kExecuting, kFlushing, kLingering, kClosed };

  void OnEvents(std::uint32_t events) override;
  void OnDeadline() override;

  // Steps: true if there may be more to do at once.
  bool Step();
  bool Receive();
  bool Parse();
  bool NeedMore();
  bool BeginBody();
  bool EndMessage();
  bool Flush();
  bool EndResponse();
  bool DiscardInput();

  void Settle();  // what has to be so while the connection waits
  void Watch();
  DeadlineQueue* WantedDeadlines();
  void Reject(int status, std::string_view reason);  // an invalid request
  void Answer(int status, std::string_view reason);  // by the engine itself; then closes
  void SendContinue();
  void Linger();
  void Reset();  // closes before the response is complete
  void Close();

  Engine& engine_;
  UniqueFd socket_;
  PeerAddress peer_;
  State state_ = State::kClosed;
  bool watched_ = false;   // in the event loop
  bool readable_ = false;  // a recv may yield something
  bool ended_ = false;     // the client has shut down its side: a short recv does not mean drained
  bool fresh_ = false;     // no request yet
  bool rejected_ = false;  // the engine answered by itself: input may be left

  InputBuffer input_;
  RequestParser parser_;
  RequestParser::BodySink body_sink_;
  Status body_status_;
  Exchange exchange_;
};

}  // namespace gunid
