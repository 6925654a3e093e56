#include "engine/engine.h"

#include "engine/engine_fixture.h"

namespace gunid {
namespace {

void SendText(Exchange& exchange, const std::string& text) {
  exchange.SendHead(OkHead(), text.size());
  exchange.Write(text);
  exchange.Finish();
}

TEST_F(EngineTest, DrainClosesIdleConnectionsAfterAMoment) {
  options_.keepalive_s = 60;
  FakeExecutor& executor = Start<InlineFake>(Echo);
  Client idle(port_);
  idle.Send(Get("/"));
  ASSERT_TRUE(idle.ReadResponse());
  Drain();
  Join();
  EXPECT_TRUE(idle.AtEnd());
  EXPECT_TRUE(executor.stopped());
}

TEST_F(EngineTest, DrainAnswersOneLastRequestOfAnIdleConnection) {
  options_.keepalive_s = 60;
  options_.drain_grace_s = 60;
  Start<InlineFake>(Echo);
  Client idle(port_);
  idle.Send(Get("/"));
  ASSERT_TRUE(idle.ReadResponse());
  Drain();
  WaitForTurn();
  idle.Send(Get("/last"));
  const auto response = idle.ReadResponse();
  ASSERT_TRUE(response);
  EXPECT_TRUE(response->Has("Connection: close"));
  EXPECT_TRUE(idle.AtEnd());
  Join();
}

TEST_F(EngineTest, DrainLetsARequestFinishArrivingAndSaysClose) {
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbo");
  while (scoreboard_->Counters(0).connections < 1) std::this_thread::yield();
  WaitForTurn();
  Drain();
  WaitForTurn();
  client.Send("dy");
  const auto response = client.ReadResponse();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "POST / body");
  EXPECT_TRUE(response->Has("Connection: close"));
  EXPECT_TRUE(client.AtEnd());
  Join();
}

TEST_F(EngineTest, DrainGivesANewConnectionAMomentForItsRequest) {
  Start<InlineFake>(Echo);
  Client client(port_);
  while (scoreboard_->Counters(0).connections < 1) std::this_thread::yield();
  Drain();
  WaitForTurn();
  client.Send(Get("/late"));
  EXPECT_EQ(client.ReadResponse()->body, "GET /late ");
  Join();
}

TEST_F(EngineTest, DrainMakesARunningRequestSayClose) {
  Gate gate;
  Start<ThreadedFake>(
      [&gate](Exchange& exchange) {
        gate.Arrive();
        Echo(exchange);
      },
      2);
  Client client(port_);
  client.Send(Get("/"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  Drain();
  WaitForTurn();
  WaitForTurn();
  gate.Open();
  EXPECT_TRUE(client.ReadResponse()->Has("Connection: close"));
  EXPECT_TRUE(client.AtEnd());
  Join();
}

TEST_F(EngineTest, DrainAnswersPipelinedRequestsThatHaveArrived) {
  on_request_done_ = [this](std::uint64_t count) {
    if (count == 2) engine_->Drain();
  };
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send(Get("/1") + Get("/2") + Get("/3"));
  for (const char* path : {"/1", "/2", "/3"}) {
    EXPECT_EQ(client.ReadResponse()->body, std::string("GET ") + path + " ");
  }
  EXPECT_TRUE(client.AtEnd());
  Join();
}

TEST_F(EngineTest, DrainClosesTheListenersAndSaysSo) {
  Gate gate;
  Gate stopped;
  on_accepting_stopped_ = [&stopped] { stopped.Arrive(); };
  Start<ThreadedFake>(
      [&gate](Exchange& exchange) {
        gate.Arrive();
        Echo(exchange);
      },
      2);
  Client client(port_);
  client.Send(Get("/"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  listeners_.clear();
  Drain();
  ASSERT_TRUE(stopped.WaitForArrivals(1));
  const UniqueFd late(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(late.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), -1);
  EXPECT_EQ(errno, ECONNREFUSED);
  stopped.Open();
  gate.Open();
  EXPECT_TRUE(client.ReadResponse());
  Join();
}

TEST_F(EngineTest, StopCutsConnectionsAndReturnsWhileARequestRuns) {
  Gate gate;
  FakeExecutor& executor = Start<ThreadedFake>(
      [&gate](Exchange& exchange) {
        gate.Arrive();
        Echo(exchange);
      },
      2);
  Client busy(port_);
  busy.Send(Get("/"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  Client reading(port_);
  reading.Send("GET / HT");
  while (scoreboard_->Counters(0).connections < 2) std::this_thread::yield();
  engine_->loop().Post([this] { engine_->Stop(); });
  Join();
  EXPECT_TRUE(busy.AtEnd());
  EXPECT_TRUE(reading.AtEnd());
  EXPECT_FALSE(executor.stopped());
  gate.Open();
  threaded_->Join();
}

TEST_F(EngineTest, CountsCompletedRequests) {
  std::vector<std::uint64_t> counts;
  on_request_done_ = [&counts](std::uint64_t count) { counts.push_back(count); };
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send(Get("/") + Get("/") + Get("/"));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.ReadResponse());
  Drain();
  Join();
  EXPECT_EQ(counts, (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST_F(EngineTest, KeepsTheScoreboard) {
  Gate gate;
  Start<ThreadedFake>(
      [&gate](Exchange& exchange) {
        if (exchange.request().target == "/error") return exchange.SendError(500, "");
        gate.Arrive();
        Echo(exchange);
      },
      2);
  Client client(port_);
  client.Send(Get("/shown?secret"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  EXPECT_EQ(scoreboard_->InFlight(0), 1);
  const auto requests = scoreboard_->Requests(0);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].text, "GET /shown");
  EXPECT_GT(scoreboard_->Heartbeat(0), 0U);
  gate.Open();
  const auto response = client.ReadResponse();
  ASSERT_TRUE(response);
  const std::size_t size = response->head.size() + response->body.size();
  client.Send(Get("/error"));
  EXPECT_EQ(client.ReadResponse()->status, 500);
  Drain();
  Join();
  const SlotCounters counters = scoreboard_->Counters(0);
  EXPECT_EQ(scoreboard_->InFlight(0), 0);
  EXPECT_EQ(counters.connections, 1U);
  EXPECT_EQ(counters.requests, 2U);
  EXPECT_EQ(counters.server_errors, 1U);
  EXPECT_GT(counters.bytes_sent, size);
}

TEST_F(EngineTest, HeartbeatGoesOnWhenNothingHappens) {
  Start<InlineFake>(Echo);
  const auto heartbeat = [this] { return scoreboard_->Heartbeat(0); };
  while (heartbeat() == 0) std::this_thread::yield();
  const std::uint64_t before = heartbeat();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (heartbeat() == before && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_LT(heartbeat() - before, 2'000'000'000U);
  EXPECT_GT(heartbeat(), before);
}

TEST_F(EngineTest, RequestsBeyondTheCapacityWaitInOrder) {
  Gate gate;
  std::vector<std::string> order;
  Start<ThreadedFake>(
      [&](Exchange& exchange) {
        order.emplace_back(exchange.request().target);
        gate.Arrive();
        SendText(exchange, "x");
      },
      1);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(std::make_unique<Client>(port_));
    clients.back()->Send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: t");
  }
  while (scoreboard_->Counters(0).connections < 5) std::this_thread::yield();
  for (auto& client : clients) {
    client->Send("\r\n\r\n");
    WaitForTurn();
    WaitForTurn();
  }
  gate.Open();
  for (auto& client : clients) EXPECT_TRUE(client->ReadResponse());
  Drain();
  Join();
  EXPECT_EQ(order, (std::vector<std::string>{"/0", "/1", "/2", "/3", "/4"}));
}

TEST_F(EngineTest, ServesManyClientsOnThreads) {
  Start<ThreadedFake>(Echo, 4);
  std::vector<std::thread> threads;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      Client client(port_);
      for (int j = 0; j < 50; ++j) {
        const std::string target = "/" + std::to_string(i) + "/" + std::to_string(j);
        client.Send(Post(target, "x"));
        const auto response = client.ReadResponse();
        if (response && response->body == "POST " + target + " x") ++answered;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, 400);
}

}  // namespace
}  // namespace gunid
