#include "engine/adopter.h"

#include <unistd.h>

#include <fstream>

#include "engine/engine_fixture.h"

namespace gunid {
namespace {

// The test is the supervisor, and the other worker.
class AdopterTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    auto created = Handover::Create();
    ASSERT_TRUE(created.ok());
    handover_.emplace(std::move(*created));
    options_.keepalive_s = 60;
    options_.drain_grace_s = 60;  // would outlast the test
  }
  HandedConnection WaitForHanded() const {
    HandedConnection handed;
    pollfd queue{handover_->receiving_fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&queue, 1, kClientTimeoutMs), 1);
    EXPECT_EQ(handover_->Receive(handed), Handover::Receipt::kConnection);
    return handed;
  }
};

TEST_F(AdopterTest, HandsIdleConnectionsOverWhenItDrains) {
  Start<ThreadedFake>(Echo, 1);
  Client client(port_);
  client.Send(Get("/1"));
  ASSERT_TRUE(client.ReadResponse());
  Drain();
  Join();
  HandedConnection handed;
  ASSERT_EQ(handover_->Receive(handed), Handover::Receipt::kConnection);
  EXPECT_FALSE(handed.fresh);
  EXPECT_EQ(handed.listener, listeners_[0].address);
  client.Send("x");
  pollfd socket{handed.socket.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&socket, 1, kClientTimeoutMs), 1);
  char byte = 0;
  EXPECT_EQ(::recv(handed.socket.get(), &byte, 1, 0), 1);
}

TEST_F(AdopterTest, ServesWhatIsHandedOverAndTellsBothAddresses) {
  std::string seen;
  Start<ThreadedFake>(
      [&seen](Exchange& exchange) {
        seen = exchange.peer().host + " " + exchange.listener().host;
        Echo(exchange);
      },
      1);
  // Accepted by another worker of this test, at an address that the engine does not know.
  ListenerAddress address;
  address.host = "127.0.0.1";
  Result<Listener> other = OpenListener(address, 8, 0);
  ASSERT_TRUE(other.ok());
  Client client(other->address.port);
  pollfd arriving{other->fd.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&arriving, 1, kClientTimeoutMs), 1);
  UniqueFd accepted(::accept4(other->fd.get(), nullptr, nullptr, SOCK_NONBLOCK));
  ASSERT_TRUE(accepted);
  ASSERT_TRUE(handover_->Send(accepted.get(), {.host = "192.0.2.1", .port = 1}, false));
  accepted.Reset();
  client.Send(Get("/1"));
  EXPECT_EQ(client.ReadResponse()->body, "GET /1 ");
  EXPECT_EQ(scoreboard_->Counters(0).connections, 0U);
  Drain();
  Join();
  EXPECT_EQ(seen, "127.0.0.1 192.0.2.1");
  EXPECT_EQ(WaitForHanded().listener.host, "192.0.2.1");
}

TEST_F(AdopterTest, AWorkerThatCannotHandOverGivesTimeForALastRequest) {
  options_.stop_grace_s = 60;
  Gate draining;
  draining.Open();
  on_accepting_stopped_ = [&draining] { draining.Arrive(); };
  Start<ThreadedFake>(Echo, 1);
  Client client(port_);
  client.Send(Get("/1"));
  ASSERT_TRUE(client.ReadResponse());
  handover_->Close();
  ::shutdown(listeners_[0].fd.get(), SHUT_RDWR);
  Drain();
  ASSERT_TRUE(draining.WaitForArrivals(1));
  client.Send(Get("/2"));
  const auto response = client.ReadResponse();
  ASSERT_TRUE(response);
  EXPECT_TRUE(response->Has("Connection: close"));
  Join();
}

TEST_F(AdopterTest, WhenTheServerStopsWhatIsQueuedIsAcceptedUntilTheSocketIsShutDown) {
  Gate gate;
  std::atomic<bool> stopped_accepting{false};
  on_accepting_stopped_ = [&stopped_accepting] { stopped_accepting = true; };
  Start<AloneFake>([&gate](Exchange& exchange) {
    gate.Arrive();
    Echo(exchange);
  });
  Client first(port_);
  first.Send(Get("/1"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  Client second(port_);
  second.Send(Get("/2"));
  handover_->Close();
  Drain();
  gate.Open();
  EXPECT_EQ(first.ReadResponse()->body, "GET /1 ");
  EXPECT_EQ(second.ReadResponse()->body, "GET /2 ");
  Client third(port_);  // as if it had been queued
  third.Send(Get("/3"));
  EXPECT_EQ(third.ReadResponse()->body, "GET /3 ");
  EXPECT_FALSE(stopped_accepting);
  ::shutdown(listeners_[0].fd.get(), SHUT_RDWR);
  Join();
  EXPECT_TRUE(stopped_accepting);
}

bool IsWaiting(pid_t thread) {
  std::ifstream stat("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string line;
  std::getline(stat, line);
  return line.find(") S ") != std::string::npos;
}

TEST_F(AdopterTest, WhatAFullWorkerIsToldOfGoesOnToAnother) {
  Gate gate;
  Start<ThreadedFake>(
      [&gate](Exchange& exchange) {
        gate.Arrive();
        Echo(exchange);
      },
      1);
  WaitForTurn();  // it watches
  Client client(port_);
  client.Send(Get("/1"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  const UniqueFd idle_client(fds[0]);
  ASSERT_TRUE(handover_->Send(fds[1], listeners_[0].address, false));
  ::close(fds[1]);
  WaitForTurn();
  EXPECT_EQ(WaitForHanded().listener, listeners_[0].address);
  gate.Open();
  EXPECT_TRUE(client.ReadResponse());
}

// The kernel tells one of those that wait: here one that has no chance to accept.
TEST_F(AdopterTest, AConnectionOfWhichAnotherWorkerWasToldIsFound) {
  EventLoop other;
  struct Deaf : EventHandler {
    void OnEvents(std::uint32_t /*events*/) override { ++told; }
    std::atomic<int> told{0};
  } deaf;
  ASSERT_TRUE(other.Add(listeners_[0].fd.get(), EPOLLIN | EPOLLEXCLUSIVE, &deaf));
  std::atomic<pid_t> id{0};
  std::thread waiting([&] {
    id = ::gettid();
    other.RunOnce(std::chrono::seconds(20));
  });
  while (id == 0 || !IsWaiting(id)) std::this_thread::yield();
  Start<ThreadedFake>(Echo, 1);
  WaitForTurn();
  Client client(port_);
  client.Send(Get("/1"));
  EXPECT_EQ(client.ReadResponse()->body, "GET /1 ");
  other.Wake();
  waiting.join();
  EXPECT_EQ(deaf.told, 1);
}

}  // namespace
}  // namespace gunid
