// The I/O half of a worker: accepts, reads, parses, buffers, writes, times out. No Python in it. The
// executor (engine/executor.h) runs the application, and drives the engine.
//
// Threads: the engine belongs to the thread that leads. Which one that is may change between two
// turns, and while the leader is inside the application (engine/leadership.h orders the memory).
// "Leading thread" is what all functions want that say nothing else.
//
// States of the engine: running -> draining (no accepting; idle connections are handed over to other
// workers, or get a moment for a last request; the rest finishes) -> finished.
// When the server stops there are no others: draining begins with emptying, in which those connections
// are still accepted that the kernel has queued, until the supervisor says that there are no more.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/event_loop.h"
#include "base/ip_network.h"
#include "engine/access_log.h"
#include "engine/body_buffer.h"
#include "engine/deadline_queue.h"
#include "engine/exchange.h"
#include "engine/executor.h"
#include "engine/health_check.h"
#include "engine/input_buffer.h"
#include "http/forwarded_headers.h"
#include "http/proxy_header.h"
#include "http/request_parser.h"
#include "ipc/handover.h"
#include "ipc/listeners.h"
#include "ipc/scoreboard.h"

namespace gunid {

class Acceptor;
class Adopter;
class Connection;

struct EngineOptions {
  RequestLimits limits;
  ParserLaxity laxity;
  ForwardingRules forwarding;
  IpNetworks forwarders;  // peers whose forwarded headers hold (forwarded_allow_ips)
  ProxyProtocol proxy_protocol = ProxyProtocol::kOff;
  IpNetworks proxies;          // peers that may send a PROXY header (proxy_allow_ips)
  int max_connections = 1000;  // worker_connections
  double late_look_s = 0.005;  // until a full worker takes connections that no other one has taken
  double keepalive_s = 2;      // idle between requests; 0: connections are not kept
  double head_s = 30;          // for a whole request head; then 408
  double body_s = 30;          // in which kLeastRate must be reached; else 408
  double write_s = 30;         // in which kLeastRate must be reached, of a response
  // Of what a client leaves pending of one response, in a temporary file; 0: no limit. Beyond it
  // the application waits.
  std::uint64_t response_buffer_limit = 1024 * 1024 * 1024;
  // For a client that has no request under way when a drain begins, and that no other worker takes:
  // its next one may be on its way, and is answered.
  double drain_grace_s = 1;
  // Likewise when the server stops, for one that has had an answer.
  double stop_grace_s = 0.25;
  // Must be answered with 2xx or 3xx before the engine has started; "": nothing must.
  std::string health_check;

  // Bytes per second. Slower clients are attackers, or lost.
  static constexpr double kLeastRate = 500;
};

// A connection that comes to this worker.
struct Arrival {
  UniqueFd socket;
  PeerAddress peer;
  std::optional<IpAddress> ip;      // of the peer; none for a Unix socket
  const ListenerAddress& listener;  // outlives the connection
  bool fresh = true;                // it has had no request yet
  bool adopted = false;             // from another worker, which has counted it
};

// What the engine tells its worker, on the leading thread.
struct EngineEvents {
  // The executor runs, the health check was answered, and connections are about to be accepted.
  std::function<void()> started;
  // Instead of `started`. The engine stops after it.
  std::function<void(const Error&)> health_check_failed;
  // After each request, with the number of requests that have been completed (for max_requests).
  std::function<void(std::uint64_t)> request_done;
  // A drain has begun and this process has no listening socket any more.
  std::function<void()> accepting_stopped;
  // Must not return. The engine has finished, and the application is still being called: because of
  // Stop(), or for requests that were abandoned. Those threads go on using engine and executor, so
  // the process has to end without destroying either.
  std::function<void()> cut_short;
};

class Engine {
 public:
  // All references outlive the engine, and so do `handover` (null: there are no other workers) and
  // `access_log` (null: none). `executor` is asked here what it can do.
  Engine(const EngineOptions& options, std::vector<Listener>& listeners, Executor& executor,
         SlotWriter slot, EngineEvents events, const Handover* handover = nullptr,
         AccessLog* access_log = nullptr);
  ~Engine();

  EventLoop& loop() { return loop_; }

  // For executors.
  void Begin();
  // Handles what has happened until an exchange is to be executed, which it returns; null: all was
  // handled. Waits for something to happen; where that blocks, `observer` (may be null) is told.
  Exchange* Turn(WaitObserver* observer);
  // Likewise without waiting. For a loop of another kind that watches loop().fd(): it has to be called
  // until it returns null, and again when the descriptor is readable or at NextTurn().
  Exchange* Poll();
  [[nodiscard]] TimePoint NextTurn() const;
  // What has been logged is written. Turn() does so before it waits; a loop of another kind has to.
  void FlushLog() {
    if (access_log_ != nullptr) access_log_->Flush();
  }
  // A turn of a thread that executes nothing.
  void TurnWithoutExecution();
  // The application is through with it, and the thread that called it still leads.
  void Complete(Exchange& exchange);
  // Any thread, likewise where another thread leads now. The last touch of `exchange`.
  void CompleteLater(Exchange& exchange);
  // Drained or stopped: no more turns.
  [[nodiscard]] bool finished() const {
    return stopped_ || (drain_begun_ && !emptying_ && open_connections_ == abandoned_);
  }
  // After the last turn; cuts what is left of the connections. If the application is still being
  // called, this is cut_short and does not return.
  void End();

  // Finishes what is in flight, closes the listeners - at once, but when the server stops - and hands
  // over the rest.
  void Drain() { draining_ = true; }
  // Finishes at once; connections are cut.
  void Stop() { stopped_ = true; }
  // Any thread. The request does not end: its client gets a 504 if it has got nothing yet, the
  // connection is closed, and a drain does not wait for it.
  void Abandon(std::uint64_t serial);

 private:
  friend class Acceptor;
  friend class Adopter;
  friend class Connection;

  // For acceptors.
  [[nodiscard]] bool may_accept() const;
  // There is a place to execute the next request at once. Where there is none other workers may have one,
  // and new connections are left to them, but for `extra_places_`.
  [[nodiscard]] bool has_place() const;
  // How many more than one may be accepted in this turn.
  [[nodiscard]] int extra_places() const { return extra_places_; }
  [[nodiscard]] bool emptying() const { return emptying_; }
  void Admit(Arrival arrival);

  // For connections.
  [[nodiscard]] bool may_keep_alive() const { return keeps_alive_ && !draining_; }
  void Dispatch(Connection& connection);  // it has a complete request
  void Withdraw(Connection& connection);  // and its client is gone
  void Abandoned();                       // one of them: what executes it does not end
  // Every place is taken by a call that does not end: nothing more is executed here.
  [[nodiscard]] bool lost() const { return abandoned_ >= capacity_; }
  // False: it stays, as long as drain_grace_s allows.
  [[nodiscard]] bool HandOver(int socket, const ListenerAddress& listener, bool fresh);
  void ContinueLater(Connection& connection);  // it has more to do, but it is the others' turn
  void Closed(Connection& connection);
  // Executor's thread: a client takes the response slower than it is produced.
  void OutputShared(Connection& connection);
  [[nodiscard]] std::uint64_t NextSerial() { return ++last_serial_; }
  // A connection was accepted and its request is not there yet, but most likely about to be: a place
  // is kept for it for a moment. False: not for this one. Otherwise ExpectNoMore() is to be called
  // with that moment when the request has come.
  bool Expect(std::uint64_t& moment);
  void ExpectNoMore(std::uint64_t moment);
  void EndMoment();

  void CheckHealth();
  void HealthChecked(const Status& status);
  void RunTurn(Nanoseconds limit, WaitObserver* observer);
  Exchange* NextExchange();
  void PrepareTurn();
  void AllotExtraPlaces(int crowded);
  void LookAgain();
  void BeginDrain();
  void TakeWhatWasAnnounced();
  void EndEmptying();
  void CloseListeners();
  void EndExecution(Connection& connection);
  void Notify(std::vector<Connection*>& list, Connection& connection);
  void TakeNotices();
  void RunReady();
  void Heartbeat();
  void CutConnections();

  const EngineOptions options_;
  std::vector<Listener>& listeners_;
  Executor& executor_;
  const int capacity_;
  const bool keeps_alive_;
  SlotWriter slot_;
  const EngineEvents events_;
  const Handover* const handover_;
  AccessLog* const access_log_;

  EventLoop loop_;
  DeadlineQueue idle_deadlines_;
  DeadlineQueue head_deadlines_;
  DeadlineQueue body_deadlines_;
  DeadlineQueue write_deadlines_;
  DeadlineQueue linger_deadlines_;
  DeadlineQueue drain_deadlines_;
  DeadlineQueue stop_deadlines_;
  BufferPool buffers_;
  BodyMemoryPool body_memory_;
  std::optional<HealthCheck> health_check_;
  bool checking_health_ = false;  // its request is the only one

  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::unique_ptr<Adopter> adopter_;                      // null without handover_
  std::vector<std::unique_ptr<Connection>> connections_;  // open, closed in this turn, and free
  std::vector<Connection*> free_;
  std::vector<Connection*> closed_;  // in this turn: still on the call stack, perhaps
  std::vector<Connection*> ready_;   // to be continued in the next turn
  std::deque<Connection*> waiting_;  // have a complete request
  int open_connections_ = 0;
  int abandoned_ = 0;      // of these: nobody waits for them any more
  int in_flight_ = 0;      // being executed
  int calls_in_turn_ = 0;  // that have begun since the last turn of the loop
  int crowded_calls_ = 0;  // of these: while other requests waited
  // Connections that may be accepted in this turn although all places are taken by requests that wait: as
  // many as had to wait in the last one. Without them those that come would wait until the connections that are kept
  // are idle at the same time.
  // Where long calls keep all threads the turn has no end that is near: there they are for what still waits
  // after `late_look_s`, so that other workers had it offered before.
  int extra_places_ = 0;
  int late_places_ = 0;
  EventLoop::TimerId late_look_ = 0;
  int expected_ = 0;  // accepted in this moment (kExpectationTime), and their requests not complete
  int unexpected_ = 0;  // the next connections that are not waited for
  std::uint64_t moment_ = 0;
  EventLoop::TimerId moment_timer_ = 0;
  std::uint64_t last_serial_ = 0;
  std::uint64_t requests_done_ = 0;
  bool draining_ = false;
  bool drain_begun_ = false;
  bool server_stops_ = false;  // known once the drain has begun
  bool emptying_ = false;
  bool stopped_ = false;
  TimePoint last_heartbeat_;
  TimePoint last_look_;

  // From other threads.
  std::mutex mutex_;
  std::vector<Connection*> output_shared_;  // guarded by mutex_
  std::vector<Connection*> completed_;      // guarded by mutex_
  std::atomic<bool> any_notices_{false};
  std::vector<Connection*> taken_shared_;  // scratch of TakeNotices
  std::vector<Connection*> taken_completed_;
};

}  // namespace gunid
