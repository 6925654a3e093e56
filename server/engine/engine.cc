#include "engine/engine.h"

#include <algorithm>
#include <csignal>

#include "engine/acceptor.h"
#include "engine/adopter.h"
#include "engine/connection.h"

namespace gunid {
namespace {

constexpr double kLingerSeconds = 2;
// Most clients send their request right after they have connected. For that long a worker keeps a
// place free for it and leaves further connections to others. After one that sent nothing it does
// not wait for the next ones: a crowd of silent clients must not hold up the rest.
constexpr std::chrono::milliseconds kExpectationTime(1);
constexpr int kUnexpected = 31;
// Then the sockets get their turn: a client that pipelines without end must not keep the engine from
// all others. Nor must there be a look for each request: what the kernel does between two calls of the
// application costs them their caches.
constexpr int kMostCallsPerTurn = 64;
constexpr std::chrono::seconds kMaxWait(1);  // so that the heartbeat goes on when nothing happens
constexpr std::chrono::milliseconds kHeartbeatResolution(100);

}  // namespace

Engine::Engine(const EngineOptions& options, std::vector<Listener>& listeners, Executor& executor,
               SlotWriter slot, EngineEvents events, const Handover* handover,
               AccessLog* access_log)
    : options_(options),
      listeners_(listeners),
      executor_(executor),
      capacity_(executor.capacity()),
      keeps_alive_(executor.keeps_alive() && options.keepalive_s > 0),
      slot_(slot),
      events_(std::move(events)),
      handover_(handover),
      access_log_(access_log),
      idle_deadlines_(loop_, options.keepalive_s),
      head_deadlines_(loop_, options.head_s),
      body_deadlines_(loop_, options.body_s),
      write_deadlines_(loop_, options.write_s),
      linger_deadlines_(loop_, kLingerSeconds),
      drain_deadlines_(loop_, options.drain_grace_s),
      stop_deadlines_(loop_, options.stop_grace_s) {
  // sendfile has no MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_IGN);
  for (const Listener& listener : listeners) {
    acceptors_.push_back(std::make_unique<Acceptor>(*this, listener));
  }
  if (handover_ != nullptr) adopter_ = std::make_unique<Adopter>(*this, *handover_, listeners);
}

Engine::~Engine() {
  loop_.Cancel(moment_timer_);
}

void Engine::Begin() {
  if (!options_.health_check.empty()) return CheckHealth();
  if (events_.started) events_.started();
}

void Engine::CheckHealth() {
  checking_health_ = true;
  health_check_.emplace(loop_, options_.health_check,
                        [this](const Status& status) { HealthChecked(status); });
  Result<UniqueFd> served = health_check_->Start();
  if (!served) return HealthChecked(served.error());
  Admit({.socket = std::move(*served),
         .peer = {},
         .ip = std::nullopt,
         .listener = listeners_.front().address});
}

void Engine::HealthChecked(const Status& status) {
  checking_health_ = false;
  if (draining_ || stopped_) return;  // told to go before it could serve
  if (status) {
    if (events_.started) events_.started();
    return;
  }
  if (events_.health_check_failed) events_.health_check_failed(status.error());
  Stop();
}

void Engine::End() {
  TakeNotices();  // of calls that have ended by now
  CutConnections();
  FlushLog();
  if (in_flight_ > 0) events_.cut_short();
}

void Engine::AllotExtraPlaces(int crowded) {
  const bool free_thread = in_flight_ < capacity_ && executor_.may_start();
  extra_places_ = free_thread ? crowded : 0;
  if (free_thread || crowded == 0) return;
  late_places_ += crowded;
  if (late_look_ != 0) return;
  late_look_ = loop_.RunAfter(FromSeconds(options_.late_look_s), [this] {
    late_look_ = 0;
    extra_places_ = std::exchange(late_places_, 0);
    for (const auto& acceptor : acceptors_) acceptor->TakeWaiting();
    extra_places_ = 0;
  });
}

Exchange* Engine::Turn(WaitObserver* observer) {
  if (calls_in_turn_ >= kMostCallsPerTurn) RunTurn(Nanoseconds(0), nullptr);
  if (Exchange* next = NextExchange()) return next;
  RunTurn(kMaxWait, observer);
  return NextExchange();
}

Exchange* Engine::Poll() {
  if (calls_in_turn_ >= kMostCallsPerTurn) RunTurn(Nanoseconds(0), nullptr);
  if (Exchange* next = NextExchange()) return next;
  RunTurn(Nanoseconds(0), nullptr);
  return NextExchange();
}

void Engine::TurnWithoutExecution() {
  RunTurn(kMaxWait, nullptr);
}

TimePoint Engine::NextTurn() const {
  const TimePoint now = Clock().Now();
  const bool ready = (draining_ && !drain_begun_) || !ready_.empty() ||
                     (!waiting_.empty() && in_flight_ < capacity_);
  if (ready) return now;
  const auto timer = loop_.next_timer();
  return timer ? std::min(*timer, now + kMaxWait) : now + kMaxWait;
}

void Engine::RunTurn(Nanoseconds limit, WaitObserver* observer) {
  PrepareTurn();
  if (finished()) return;
  const bool more_to_do = !ready_.empty() || (!waiting_.empty() && in_flight_ < capacity_);
  loop_.RunOnce(more_to_do ? Nanoseconds(0) : limit, observer);
  TakeNotices();
  RunReady();
  if (emptying_) EndEmptying();
}

void Engine::PrepareTurn() {
  FlushLog();
  Heartbeat();
  calls_in_turn_ = 0;
  AllotExtraPlaces(std::exchange(crowded_calls_, 0));
  if (draining_ && !drain_begun_) BeginDrain();
  free_.insert(free_.end(), closed_.begin(), closed_.end());
  closed_.clear();
  const bool accepting = may_accept();
  for (const auto& acceptor : acceptors_) acceptor->SetActive(accepting);
  if (adopter_ && accepting) adopter_->SetActive(true);
  if (accepting) LookAgain();
}

// Of a new connection the kernel tells one waiting worker. If that is busy by the time it gets there,
// the others would hear of it only with the next one.
void Engine::LookAgain() {
  if (last_heartbeat_ - last_look_ < kMaxWait) return;
  last_look_ = last_heartbeat_;
  for (const auto& acceptor : acceptors_) {
    if (may_accept()) acceptor->Look();
  }
  if (adopter_ && may_accept()) adopter_->Look();
}

// Not in Drain(), which may be called from a handler of what is destroyed here.
void Engine::BeginDrain() {
  drain_begun_ = true;
  server_stops_ = handover_ != nullptr && handover_->closed();
  emptying_ = server_stops_;
  if (!server_stops_) {
    TakeWhatWasAnnounced();
    CloseListeners();
  }
  if (emptying_)
    std::erase_if(acceptors_, [](const auto& each) { return each->outlives_server(); });
  // Those that are opened meanwhile know of the drain already.
  for (std::size_t i = 0, count = connections_.size(); i < count; ++i) connections_[i]->Drain();
  if (emptying_) EndEmptying();
}

// To this worker alone, perhaps. What has come is handed over like the others, or served.
void Engine::TakeWhatWasAnnounced() {
  if (handover_ == nullptr) return;
  const auto has_room = [this] { return open_connections_ < options_.max_connections; };
  for (const auto& acceptor : acceptors_) {
    if (has_room()) acceptor->Look();
  }
  if (has_room()) adopter_->Look();
}

// When nothing comes any more, or nothing can be executed.
void Engine::EndEmptying() {
  const auto ended = [](const auto& acceptor) { return acceptor->ended(); };
  if (!lost() && !(adopter_->ended() && std::ranges::all_of(acceptors_, ended))) return;
  emptying_ = false;
  CloseListeners();
}

void Engine::CloseListeners() {
  acceptors_.clear();
  if (adopter_) adopter_->End();
  for (Listener& listener : listeners_) listener.fd.Reset();
  if (events_.accepting_stopped) events_.accepting_stopped();
}

bool Engine::HandOver(int socket, const ListenerAddress& listener, bool fresh) {
  if (handover_ == nullptr || server_stops_) return false;
  return handover_->Send(socket, listener, fresh);
}

void Engine::Heartbeat() {
  const TimePoint now = Clock().Now();
  if (now - last_heartbeat_ < kHeartbeatResolution) return;
  last_heartbeat_ = now;
  slot_.Heartbeat(static_cast<std::uint64_t>(now.time_since_epoch().count()));
}

bool Engine::has_place() const {
  const int places_taken = in_flight_ + static_cast<int>(waiting_.size()) + expected_;
  return places_taken < capacity_ && executor_.may_start();
}

bool Engine::may_accept() const {
  return (!draining_ || emptying_) && !stopped_ && !checking_health_ &&
         open_connections_ < options_.max_connections && (extra_places_ > 0 || has_place());
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

void Engine::Admit(Arrival arrival) {
  if (free_.empty()) {
    connections_.push_back(std::make_unique<Connection>(*this));
    free_.push_back(connections_.back().get());
  }
  Connection& connection = *free_.back();
  free_.pop_back();
  ++open_connections_;
  if (extra_places_ > 0 && !has_place()) --extra_places_;
  if (!arrival.adopted) slot_.ConnectionAccepted();
  connection.Open(std::move(arrival));
}

void Engine::Closed(Connection& connection) {
  --open_connections_;
  closed_.push_back(&connection);
}

void Engine::Dispatch(Connection& connection) {
  waiting_.push_back(&connection);
}

void Engine::Withdraw(Connection& connection) {
  std::erase(waiting_, &connection);
}

Exchange* Engine::NextExchange() {
  if (waiting_.empty() || in_flight_ >= capacity_ || stopped_) return nullptr;
  Connection& connection = *waiting_.front();
  waiting_.pop_front();
  ++in_flight_;
  ++calls_in_turn_;
  if (!waiting_.empty()) ++crowded_calls_;
  return &connection.BeginExecution();
}

void Engine::Complete(Exchange& exchange) {
  TakeNotices();  // its own, perhaps, that its output is shared: not any more
  EndExecution(Connection::Of(exchange));
}

void Engine::CompleteLater(Exchange& exchange) {
  Notify(completed_, Connection::Of(exchange));
}

void Engine::EndExecution(Connection& connection) {
  --in_flight_;
  connection.EndExecution();
  if (!checking_health_) {
    ++requests_done_;
    if (events_.request_done) events_.request_done(requests_done_);
  }
  connection.Proceed();
}

void Engine::Abandoned() {
  ++abandoned_;
  if (!lost()) return;
  for (Connection* connection : std::exchange(waiting_, {})) connection->Refuse();
}

void Engine::Abandon(std::uint64_t serial) {
  loop_.Post([this, serial] {
    for (const auto& connection : connections_) connection->Abandon(serial);
  });
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
  for (Connection* connection : taken_completed_) EndExecution(*connection);
  taken_shared_.clear();
  taken_completed_.clear();
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
