#include "engine/engine.h"

#include <algorithm>
#include <set>

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
  Start<InlineFake>(Echo);
  Client idle(port_);
  idle.Send(Get("/"));
  ASSERT_TRUE(idle.ReadResponse());
  Drain();
  Join();
  EXPECT_TRUE(idle.AtEnd());
  EXPECT_FALSE(cut_short_);
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

TEST_F(EngineTest, StopCutsConnectionsWhileARequestRuns) {
  Gate gate;
  Start<ThreadedFake>(
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
  EXPECT_TRUE(busy.AtEnd());
  EXPECT_TRUE(reading.AtEnd());
  while (!cut_short_) std::this_thread::yield();
  gate.Open();
  Join();
}

TEST_F(EngineTest, KeepsTheLoopGoingWhileTheOnlyThreadIsInALongCall) {
  options_.head_s = 0.05;
  options_.max_connections = 10;
  Gate gate;
  Start<AloneFake>([&gate](Exchange& exchange) {
    gate.Arrive();
    Echo(exchange);
  });
  Client slow(port_);
  slow.Send("GET / HT");
  while (scoreboard_->Counters(0).connections < 1) std::this_thread::yield();
  Client busy(port_);
  busy.Send(Get("/"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  const auto timed_out = slow.ReadResponse();
  ASSERT_TRUE(timed_out);
  EXPECT_EQ(timed_out->status, 408);
  gate.Open();
  ASSERT_TRUE(busy.ReadResponse());
  for (int i = 0; i < 3; ++i) {
    busy.Send(Get("/"));
    ASSERT_TRUE(busy.ReadResponse());
  }
}

TEST_F(EngineTest, OneThreadCallsAlsoWhenItsCallsTakeLong) {
  std::set<std::thread::id> callers;
  Start<AloneFake>([&callers](Exchange& exchange) {
    callers.insert(std::this_thread::get_id());
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    Echo(exchange);
  });
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([this] {
      Client client(port_);
      for (int request = 0; request < 10; ++request) {
        client.Send(Get("/"));
        ASSERT_TRUE(client.ReadResponse());
      }
    });
  }
  for (std::thread& client : clients) client.join();
  Drain();
  Join();
  EXPECT_EQ(callers.size(), 1U);
}

// Quick and long calls in turn, of which each must be executed once and answered to its own client.
TEST_F(EngineTest, ThreadsThatTakeTurnsLoseNoRequest) {
  constexpr int kClients = 8;
  constexpr int kRequests = 100;
  std::atomic<int> calls = 0;
  Start<ThreadedFake>(
      [&calls](Exchange& exchange) {
        if (++calls % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(900));
        const std::string target(exchange.request().target);
        exchange.SendHead(OkHead(), target.size());
        exchange.Write(target);
        exchange.Finish();
      },
      3);
  std::vector<std::thread> clients;
  for (int number = 0; number < kClients; ++number) {
    clients.emplace_back([this, number] {
      Client client(port_);
      for (int request = 0; request < kRequests; ++request) {
        const std::string target = "/" + std::to_string(number) + "/" + std::to_string(request);
        client.Send(Get(target));
        const auto response = client.ReadResponse();
        ASSERT_TRUE(response);
        ASSERT_EQ(response->body, target);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  Drain();
  Join();
  EXPECT_EQ(calls, kClients * kRequests);
  EXPECT_EQ(scoreboard_->InFlight(0), 0);
}

class AbandonTest : public EngineTest {
 protected:
  std::uint64_t WaitForSerial() {
    std::vector<RequestInFlight> requests;
    while (requests = scoreboard_->Requests(0), requests.empty()) std::this_thread::yield();
    return requests[0].serial;
  }
};

TEST_F(AbandonTest, AnswersForAnApplicationThatDoesNotAndDrainsWithoutIt) {
  Gate gate;
  Start<ThreadedFake>(
      [&gate](Exchange& exchange) {
        gate.Arrive();
        Echo(exchange);
      },
      2);
  Client stuck(port_);
  stuck.Send(Get("/"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  engine_->Abandon(WaitForSerial() + 1);  // no such request
  engine_->Abandon(WaitForSerial());
  const auto response = stuck.ReadResponse();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 504);
  EXPECT_TRUE(response->Has("Connection: close"));
  EXPECT_TRUE(stuck.AtEnd());
  EXPECT_EQ(scoreboard_->InFlight(0), 1);
  Drain();
  while (!cut_short_) std::this_thread::yield();
  gate.Open();
  Join();
}

TEST_F(AbandonTest, WhatTheApplicationDoesAfterwardsGoesNowhere) {
  Gate gate;
  std::atomic<int> later = 0;
  Start<ThreadedFake>(
      [&](Exchange& exchange) {
        if (exchange.request().target == "/stuck") gate.Arrive();
        Echo(exchange);
        ++later;
      },
      2);
  Client stuck(port_);
  stuck.Send(Get("/stuck"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  engine_->Abandon(WaitForSerial());
  EXPECT_EQ(stuck.ReadResponse()->status, 504);
  gate.Open();
  EXPECT_TRUE(stuck.AtEnd());
  while (later < 1 || scoreboard_->InFlight(0) > 0) std::this_thread::yield();
  EXPECT_EQ(scoreboard_->Counters(0).server_errors, 1U);
  // Its place is free again.
  Client next(port_);
  next.Send(Get("/"));
  EXPECT_EQ(next.ReadResponse()->status, 200);
  Drain();
  Join();
  EXPECT_FALSE(cut_short_);
}

TEST_F(AbandonTest, WhatWaitsBehindCallsThatDoNotEndIsRefused) {
  Gate gate;
  Start<ThreadedFake>(
      [&gate](Exchange& exchange) {
        gate.Arrive();
        Echo(exchange);
      },
      1);
  Client early(port_);  // accepted before, and sends the rest of its request later
  early.Send("GET / HT");
  while (scoreboard_->Counters(0).connections < 1) std::this_thread::yield();
  Client waiting(port_);
  waiting.Send("GET / HT");
  while (scoreboard_->Counters(0).connections < 2) std::this_thread::yield();
  Client stuck(port_);
  stuck.Send(Get("/"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  waiting.Send("TP/1.1\r\nHost: h\r\n\r\n");
  WaitForTurn();
  engine_->Abandon(WaitForSerial());
  EXPECT_EQ(stuck.ReadResponse()->status, 504);
  EXPECT_EQ(waiting.ReadResponse()->status, 503);
  early.Send("TP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(early.ReadResponse()->status, 503);
  waiting.Close();
  early.Close();
  Drain();
  while (!cut_short_) std::this_thread::yield();
  gate.Open();
  Join();
}

TEST_F(AbandonTest, CutsAResponseThatHasBegun) {
  Gate gate;
  Start<ThreadedFake>(
      [&gate](Exchange& exchange) {
        exchange.SendHead(OkHead(), 10);
        exchange.Write("12345");
        gate.Arrive();
        exchange.Write("67890");
        exchange.Finish();
      },
      2);
  Client stuck(port_);
  stuck.Send(Get("/"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  engine_->Abandon(WaitForSerial());
  const std::string received = stuck.ReadToEnd();
  EXPECT_TRUE(received.ends_with("12345")) << received;
  EXPECT_EQ(received.find("504"), std::string::npos);
  gate.Open();
  Drain();
  Join();
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

TEST_F(EngineTest, AClientThatPipelinesDoesNotKeepTheEngineFromOthers) {
  constexpr int kPipelined = 300;
  options_.keepalive_s = 60;
  Gate gate;
  std::vector<std::string> order;
  Start<InlineFake>([&](Exchange& exchange) {
    order.emplace_back(exchange.request().target);
    if (exchange.request().target == "/gate") gate.Arrive();
    Echo(exchange);
  });
  Client other(port_);
  other.Send(Get("/"));
  ASSERT_TRUE(other.ReadResponse());
  Client pipelining(port_);
  std::string requests = Get("/gate");
  for (int i = 0; i < kPipelined; ++i) requests += Get("/");
  pipelining.Send(requests);
  ASSERT_TRUE(gate.WaitForArrivals(1));
  other.Send(Get("/other"));
  gate.Open();
  EXPECT_TRUE(other.ReadResponse());
  for (int i = 0; i <= kPipelined; ++i) ASSERT_TRUE(pipelining.ReadResponse());
  Drain();
  Join();
  EXPECT_LT(std::ranges::find(order, "/other") - order.begin(), kPipelined / 2);
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
