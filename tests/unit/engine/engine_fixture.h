// A real engine on a thread of its own behind real sockets, with fake executors, and a blocking
// client.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "engine/executor.h"
#include "engine/leadership.h"
#include "engine/serving.h"

namespace gunid {

using Application = std::function<void(Exchange&)>;

inline constexpr int kClientTimeoutMs =
    10'000;  // longer than any deadline under test: only a failing test waits for it

class FakeExecutor : public Executor {
 public:
  explicit FakeExecutor(Application application) : application_(std::move(application)) {}

  [[nodiscard]] bool keeps_alive() const override { return true; }
  void Cancel(std::uint64_t /*serial*/) override {}

 protected:
  const Application application_;
};

// Calls the application on the engine's thread.
class InlineFake : public FakeExecutor {
 public:
  using FakeExecutor::FakeExecutor;
  void Run(Engine& engine) override {
    engine.Begin();
    while (!engine.finished()) {
      Exchange* const exchange = engine.Turn(nullptr);
      if (exchange == nullptr) continue;
      application_(*exchange);
      engine.Complete(*exchange);
    }
    engine.End();
  }
  [[nodiscard]] int capacity() const override { return 1; }
};

// The sync worker's: connections are not kept.
class SyncFake : public InlineFake {
 public:
  using InlineFake::InlineFake;
  [[nodiscard]] bool keeps_alive() const override { return false; }
};

// The sync worker with its second thread.
class AloneFake : public FakeExecutor, private ApplicationCaller {
 public:
  using FakeExecutor::FakeExecutor;
  void Run(Engine& engine) override {
    Leadership leadership(std::chrono::milliseconds(1));
    std::thread companion([&] { KeepLoopGoing(engine, leadership); });
    engine.Begin();
    ServeAlone(engine, leadership, *this);
    companion.join();
  }
  [[nodiscard]] int capacity() const override { return 1; }

 private:
  void BeforeWait() override {}
  void Call(Exchange& exchange) override { application_(exchange); }
};

// As the gthread worker: one thread more than calls.
class ThreadedFake : public FakeExecutor, private ApplicationCaller {
 public:
  ThreadedFake(Application application, int threads)
      : FakeExecutor(std::move(application)), capacity_(threads) {}

  void Run(Engine& engine) override {
    Leadership leadership(std::chrono::microseconds(500));
    std::vector<std::thread> threads;
    for (int i = 0; i < capacity_; ++i) {
      threads.emplace_back([&] { ServeTogether(engine, leadership, *this, false); });
    }
    engine.Begin();
    ServeTogether(engine, leadership, *this, true);
    for (std::thread& thread : threads) thread.join();
  }
  [[nodiscard]] int capacity() const override { return capacity_; }

 private:
  void BeforeWait() override {}
  void Call(Exchange& exchange) override { application_(exchange); }

  const int capacity_;
};

// A gate that a fake application waits at.
class Gate {
 public:
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void Arrive() {  // and wait
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  bool WaitForArrivals(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(kClientTimeoutMs),
                             [&] { return arrived_ >= count; });
  }
  int arrived() {
    const std::lock_guard lock(mutex_);
    return arrived_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  bool open_ = false;
};

struct Response {
  int status = 0;
  std::string head;
  std::string body;  // unframed

  [[nodiscard]] bool Has(const std::string& text) const {
    return head.find(text) != std::string::npos;
  }
};

class Client {
 public:
  explicit Client(int port, int receive_buffer = 0) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer > 0) {
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void ShutdownWrite() { ::shutdown(fd_.get(), SHUT_WR); }
  void Close() { fd_.Reset(); }
  void CloseWithReset() {
    const linger discard{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &discard, sizeof discard);
    fd_.Reset();
  }
  [[nodiscard]] int fd() const { return fd_.get(); }

  // Receives once more; false at EOF, reset or time-out.
  bool Receive() {
    pollfd socket{fd_.get(), POLLIN, 0};
    if (::poll(&socket, 1, kClientTimeoutMs) != 1) {
      ADD_FAILURE() << "timed out; received so far: " << input_.substr(0, 500);
      return false;
    }
    char buffer[65536];
    const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    was_reset_ = got < 0;
    if (got <= 0) return false;
    input_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }
  // Everything until EOF.
  std::string ReadToEnd() {
    while (Receive()) {
    }
    return std::exchange(input_, {});
  }
  // True: closed without another byte.
  bool AtEnd() { return input_.empty() && !Receive() && input_.empty(); }
  [[nodiscard]] bool was_reset() const { return was_reset_; }

  // nullopt if the connection ended before the response was complete.
  std::optional<Response> ReadResponse(bool has_body = true) {
    Response response;
    std::size_t end;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!Receive()) return std::nullopt;
    }
    response.head = Take(end + 4);
    if (response.head.size() > 12) response.status = std::atoi(response.head.c_str() + 9);
    if (!has_body || response.status == 100) return response;
    if (const std::size_t at = response.head.find("Content-Length: "); at != std::string::npos) {
      const std::size_t length = std::stoul(response.head.substr(at + 16));
      while (input_.size() < length) {
        if (!Receive()) return std::nullopt;
      }
      response.body = Take(length);
    } else if (response.Has("Transfer-Encoding: chunked")) {
      if (!ReadChunks(response.body)) return std::nullopt;
    } else {
      response.body = ReadToEnd();
    }
    return response;
  }

 private:
  bool ReadChunks(std::string& body) {
    while (true) {
      std::size_t line_end;
      while ((line_end = input_.find("\r\n")) == std::string::npos) {
        if (!Receive()) return false;
      }
      const std::size_t size = std::stoul(input_, nullptr, 16);
      Take(line_end + 2);
      while (input_.size() < size + 2) {
        if (!Receive()) return false;
      }
      body += Take(size);
      if (Take(2) != "\r\n") return false;
      if (size == 0) return true;
    }
  }
  std::string Take(std::size_t count) {
    std::string taken = input_.substr(0, count);
    input_.erase(0, count);
    return taken;
  }

  UniqueFd fd_;
  std::string input_;
  bool was_reset_ = false;
};

// The engine runs between Start() and the end of the test, or until Join() after a drain.
class EngineTest : public testing::Test {
 protected:
  void SetUp() override {
    ListenerAddress address;
    address.host = "127.0.0.1";
    Result<Listener> listener = OpenListener(address, 64, 0);
    ASSERT_TRUE(listener.ok()) << listener.error().message;
    port_ = listener->address.port;
    listeners_.push_back(std::move(*listener));
    Result<Scoreboard> scoreboard = Scoreboard::Create(1);
    ASSERT_TRUE(scoreboard.ok());
    scoreboard_.emplace(std::move(*scoreboard));
  }

  void TearDown() override {
    if (!thread_.joinable()) return;
    engine_->loop().Post([this] { engine_->Stop(); });
    thread_.join();
  }

  template <class T, class... Arguments>
  T& Start(Application application, Arguments... arguments) {
    auto executor = std::make_unique<T>(std::move(application), arguments...);
    T& result = *executor;
    executor_ = std::move(executor);
    // Copies, as in a worker: an engine closes its own when it drains.
    engine_listeners_.clear();
    for (const Listener& listener : listeners_) {
      engine_listeners_.push_back({listener.address, UniqueFd(::dup(listener.fd.get()))});
    }
    engine_ = std::make_unique<Engine>(
        options_, engine_listeners_, *executor_, SlotWriter(scoreboard_->slot(0)),
        EngineEvents{.started = on_started_,
                     .health_check_failed = on_health_check_failed_,
                     .request_done = on_request_done_,
                     .accepting_stopped = on_accepting_stopped_,
                     .cut_short = [this] { cut_short_ = true; }},
        handover_ ? &*handover_ : nullptr, access_log_ ? &*access_log_ : nullptr);
    thread_ = std::thread([this] { executor_->Run(*engine_); });
    return result;
  }

  void Drain() {
    engine_->loop().Post([this] { engine_->Drain(); });
  }
  void Join() { thread_.join(); }
  // Waits until everything that was posted or has happened before is through the loop.
  void WaitForTurn() {
    Gate gate;
    engine_->loop().Post([&gate] { gate.Open(); });
    gate.Arrive();
  }

  EngineOptions options_{.drain_grace_s = 0.05};
  std::vector<Listener> listeners_;
  std::vector<Listener> engine_listeners_;
  std::optional<Handover> handover_;
  std::optional<AccessLog> access_log_;
  std::optional<Scoreboard> scoreboard_;
  std::unique_ptr<FakeExecutor> executor_;
  std::function<void()> on_started_;
  std::function<void(const Error&)> on_health_check_failed_;
  std::function<void(std::uint64_t)> on_request_done_;
  std::function<void()> on_accepting_stopped_;
  // A test in which this happens has to let the calls end: the threads are joined.
  std::atomic<bool> cut_short_{false};
  std::unique_ptr<Engine> engine_;
  std::thread thread_;
  int port_ = 0;
};

// As a thread waits for its client.
inline bool WaitForRoom(Exchange& exchange, double timeout_s) {
  return exchange.WaitForRoom(timeout_s, [&exchange] {
    exchange.WaitForSocket();
    return true;
  });
}

// Applications.

inline ResponseHead OkHead() {
  return ResponseHead(200, "200 OK", {{"Content-Type", "text/plain"}});
}

inline std::string ReadBody(Exchange& exchange) {
  std::string body;
  while (exchange.body().remaining() > 0) {
    const std::string_view bytes = exchange.body().Peek();
    if (bytes.empty()) break;
    body += bytes;
    exchange.body().Consume(bytes.size());
  }
  return body;
}

// "METHOD TARGET BODY"
inline void Echo(Exchange& exchange) {
  std::string text(exchange.request().method);
  text.append(" ").append(exchange.request().target).append(" ").append(ReadBody(exchange));
  exchange.SendHead(OkHead(), text.size());
  exchange.Write(text);
  exchange.Finish();
}

inline std::string Get(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: test\r\n\r\n";
}

inline std::string Post(const std::string& target, const std::string& body) {
  return "POST " + target +
         " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

}  // namespace gunid
