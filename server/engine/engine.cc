#include "engine/engine.h"

#include <algorithm>
#include <csignal>

#include "engine/acceptor.h"
#include "engine/connection.h"

namespace gunid {
namespace {

constexpr double kLingerSeconds = 2;
// Most clients send their request right after they have connected. For that long a worker keeps a
// place free for it and leaves further connections to others. After one that sent nothing it does
// not wait for the next ones: a crowd of silent clients must not hold up the rest.
constexpr std::chrono::milliseconds kExpectationTime(1);
constexpr int kUnexpected = 31;
constexpr std::chrono::seconds kMaxWait(1);  // so that the heartbeat goes on when nothing happens
constexpr std::chrono::milliseconds kHeartbeatResolution(100);

}  // namespace

Engine::Engine(const EngineOptions& options, std::vector<Listener>& listeners, Executor& executor,
               SlotWriter slot, EngineEvents events)
    : options_(options),
      listeners_(listeners),
      executor_(executor),
      capacity_(executor.capacity()),
      keeps_alive_(executor.keeps_alive() && options.keepalive_s > 0),
      slot_(slot),
      events_(std::move(events)),
      idle_deadlines_(loop_, options.keepalive_s),
      head_deadlines_(loop_, options.head_s),
      body_deadlines_(loop_, options.body_s),
      write_deadlines_(loop_, options.write_s),
      linger_deadlines_(loop_, kLingerSeconds),
      drain_deadlines_(loop_, options.drain_grace_s) {
  // sendfile has no MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_IGN);
  for (const Listener& listener : listeners) {
    acceptors_.push_back(std::make_unique<Acceptor>(*this, listener));
  }
}

Engine::~Engine() {
  loop_.Cancel(moment_timer_);
}

void Engine::Run() {
  thread_ = std::this_thread::get_id();
  executor_.Start(*this);
  if (events_.started) events_.started();
  loop_.set_wait_observer(&executor_);
  for (PrepareTurn(); !finished(); PrepareTurn()) {
    loop_.RunOnce(ready_.empty() ? Nanoseconds(kMaxWait) : Nanoseconds(0));
    TakeNotices();
    RunReady();
  }
  loop_.set_wait_observer(nullptr);
  CutConnections();
  if (in_flight_ == 0) executor_.Stop();
}

void Engine::PrepareTurn() {
  Heartbeat();
  if (draining_ && !drain_begun_) BeginDrain();
  free_.insert(free_.end(), closed_.begin(), closed_.end());
  closed_.clear();
  const bool accepting = may_accept();
  for (const auto& acceptor : acceptors_) acceptor->SetActive(accepting);
}

// Not in Drain(), which may be called from a handler of what is destroyed here.
void Engine::BeginDrain() {
  drain_begun_ = true;
  acceptors_.clear();
  for (Listener& listener : listeners_) listener.fd.Reset();
  if (events_.accepting_stopped) events_.accepting_stopped();
  for (const auto& connection : connections_) connection->Drain();
}

void Engine::Heartbeat() {
  const TimePoint now = Clock().Now();
  if (now - last_heartbeat_ < kHeartbeatResolution) return;
  last_heartbeat_ = now;
  slot_.Heartbeat(static_cast<std::uint64_t>(now.time_since_epoch().count()));
}

bool Engine::may_accept() const {
  return !draining_ && !stopped_ && in_flight_ + expected_ < capacity_ &&
         open_connections_ < options_.max_connections;
}

bool Engine::Expect(std::uint64_t& moment) {
  if (unexpected_ > 0) {
    --unexpected_;
    return false;
  }
  ++expected_;
  if (moment_timer_ == 0) {
    moment_timer_ = loop_.RunAfter(kExpectationTime, [this] { EndMoment(); });
  }
  moment = moment_;
  return true;
}

void Engine::ExpectNoMore(std::uint64_t moment) {
  if (moment == moment_) --expected_;
}

void Engine::EndMoment() {
  moment_timer_ = 0;
  if (expected_ > 0) unexpected_ = kUnexpected;
  expected_ = 0;
  ++moment_;
}

void Engine::Admit(UniqueFd socket, PeerAddress peer, const std::optional<IpAddress>& ip,
                   const ListenerAddress& listener) {
  if (free_.empty()) {
    connections_.push_back(std::make_unique<Connection>(*this));
    free_.push_back(connections_.back().get());
  }
  Connection& connection = *free_.back();
  free_.pop_back();
  ++open_connections_;
  slot_.ConnectionAccepted();
  connection.Open(std::move(socket), std::move(peer), ip, listener);
}

void Engine::Closed(Connection& connection) {
  --open_connections_;
  closed_.push_back(&connection);
}

bool Engine::Dispatch(Connection& connection) {
  if (in_flight_ < capacity_ && waiting_.empty() && !stopped_) return Execute(connection);
  waiting_.push_back(&connection);
  return false;
}

void Engine::Withdraw(Connection& connection) {
  std::erase(waiting_, &connection);
}

bool Engine::Execute(Connection& connection) {
  ++in_flight_;
  Exchange& exchange = connection.BeginExecution();
  submitted_ = &exchange;
  executor_.Submit(exchange);
  const bool completed = submitted_ == nullptr;
  submitted_ = nullptr;
  if (completed) EndExecution(connection);
  return completed;
}

void Engine::EndExecution(Connection& connection) {
  --in_flight_;
  connection.EndExecution();
  ++requests_done_;
  if (events_.request_done) events_.request_done(requests_done_);
}

void Engine::Completed(Exchange& exchange) {
  if (on_engine_thread() && submitted_ == &exchange) {
    submitted_ = nullptr;  // Execute() goes on with it, so that pipelined requests do not recurse
    return;
  }
  Notify(completed_, Connection::Of(exchange));
}

void Engine::OutputShared(Connection& connection) {
  Notify(output_shared_, connection);
}

void Engine::Notify(std::vector<Connection*>& list, Connection& connection) {
  bool first;
  {
    const std::lock_guard lock(mutex_);
    list.push_back(&connection);
    first = !any_notices_.exchange(true, std::memory_order_relaxed);
  }
  if (first) loop_.Wake();
}

void Engine::TakeNotices() {
  if (!any_notices_.load(std::memory_order_relaxed)) return;
  {
    const std::lock_guard lock(mutex_);
    taken_shared_.swap(output_shared_);
    taken_completed_.swap(completed_);
    any_notices_.store(false, std::memory_order_relaxed);
  }
  // In this order: a completed exchange is not shared any more.
  for (Connection* connection : taken_shared_) connection->TakeOverOutput();
  for (Connection* connection : taken_completed_) {
    EndExecution(*connection);
    connection->Proceed();
  }
  taken_shared_.clear();
  taken_completed_.clear();
  RunWaiting();
}

void Engine::RunWaiting() {
  while (!waiting_.empty() && in_flight_ < capacity_ && !stopped_) {
    Connection& connection = *waiting_.front();
    waiting_.pop_front();
    if (Execute(connection)) connection.Proceed();
  }
}

void Engine::ContinueLater(Connection& connection) {
  ready_.push_back(&connection);
}

void Engine::RunReady() {
  if (ready_.empty()) return;
  const std::vector<Connection*> ready = std::exchange(ready_, {});
  for (Connection* connection : ready) connection->Proceed();
}

void Engine::CutConnections() {
  for (const auto& connection : connections_) connection->Cut();
}

}  // namespace gunid
