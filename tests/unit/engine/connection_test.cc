#include "engine/connection.h"

#include <chrono>

#include "engine/engine_fixture.h"

namespace gunid {
namespace {

using ConnectionTest = EngineTest;

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return Seconds(std::chrono::steady_clock::now() - start);
}

TEST_F(ConnectionTest, AnswersARequest) {
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send(Get("/path?query"));
  const auto response = client.ReadResponse();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "GET /path?query ");
}

TEST_F(ConnectionTest, KeepsTheConnectionForMoreRequests) {
  Start<InlineFake>(Echo);
  Client client(port_);
  for (int i = 0; i < 20; ++i) {
    client.Send(Get("/" + std::to_string(i)));
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->body, "GET /" + std::to_string(i) + " ");
    EXPECT_FALSE(response->Has("Connection: close"));
  }
}

TEST_F(ConnectionTest, ClosesAfterTheResponseWhenTheClientAsks) {
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
  const auto response = client.ReadResponse();
  ASSERT_TRUE(response);
  EXPECT_TRUE(response->Has("Connection: close"));
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(ConnectionTest, SyncExecutorClosesAfterEachResponse) {
  Start<SyncFake>(Echo);
  for (int i = 0; i < 5; ++i) {
    Client client(port_);
    client.Send(Get("/"));
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response);
    EXPECT_TRUE(response->Has("Connection: close"));
    EXPECT_TRUE(client.AtEnd());
  }
}

TEST_F(ConnectionTest, TakesARequestByteByByte) {
  Start<InlineFake>(Echo);
  Client client(port_);
  for (const char byte : Post("/slow", "hello") + Get("/next")) {
    client.Send({&byte, 1});
    WaitForTurn();
  }
  const auto first = client.ReadResponse();
  const auto second = client.ReadResponse();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->body, "POST /slow hello");
  EXPECT_EQ(second->body, "GET /next ");
}

class PipelineTest : public EngineTest, public testing::WithParamInterface<int> {
 protected:
  void StartEcho() {  // with that many threads; 0: inline
    if (GetParam() == 0) {
      Start<InlineFake>(Echo);
    } else {
      Start<ThreadedFake>(Echo, GetParam());
    }
  }
};

TEST_P(PipelineTest, AnswersAHundredRequestsOfOneWriteInOrder) {
  StartEcho();
  Client client(port_);
  std::string requests;
  for (int i = 0; i < 100; ++i) {
    const std::string target = "/" + std::to_string(i);
    requests += i % 3 == 0 ? Post(target, std::string(i * 7, 'b')) : Get(target);
  }
  client.Send(requests);
  for (int i = 0; i < 100; ++i) {
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response) << i;
    const std::string target = "/" + std::to_string(i) + " ";
    EXPECT_EQ(response->body,
              i % 3 == 0 ? "POST " + target + std::string(i * 7, 'b') : "GET " + target);
  }
}

TEST_P(PipelineTest, AnswersARequestThatIsBufferedBehindABody) {
  StartEcho();
  Client client(port_);
  const std::string next = Get("/next");
  client.Send(Post("/first", "body") + next.substr(0, 10));
  EXPECT_EQ(client.ReadResponse()->body, "POST /first body");
  client.Send(next.substr(10));
  EXPECT_EQ(client.ReadResponse()->body, "GET /next ");
}

// The head of the second request has to be moved to the front of the buffer while it is parsed, and
// the buffer to grow.
TEST_P(PipelineTest, MovesALongHeadThatBeginsLateInTheBuffer) {
  StartEcho();
  Client client(port_);
  const std::string field(6000, 'f');
  std::string long_head = "GET /long HTTP/1.1\r\nHost: test\r\n";
  for (int i = 0; i < 5; ++i) long_head += "X-Field-" + std::to_string(i) + ": " + field + "\r\n";
  client.Send(Post("/first", std::string(9000, 'b')) + long_head + "\r\n" + Get("/last"));
  EXPECT_EQ(client.ReadResponse()->body, "POST /first " + std::string(9000, 'b'));
  EXPECT_EQ(client.ReadResponse()->body, "GET /long ");
  EXPECT_EQ(client.ReadResponse()->body, "GET /last ");
}

INSTANTIATE_TEST_SUITE_P(InlineAndThreads, PipelineTest, testing::Values(0, 3));

TEST_F(ConnectionTest, PassesChunkedBodiesUnframed) {
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
  WaitForTurn();
  client.Send("lo\r\n7\r\n, world\r\n0\r\nX-Trailer: x\r\n\r\n" + Get("/next"));
  EXPECT_EQ(client.ReadResponse()->body, "POST / hello, world");
  EXPECT_EQ(client.ReadResponse()->body, "GET /next ");
}

TEST_F(ConnectionTest, PassesBodiesLargerThanTheMemoryLimit) {
  std::string received;
  Start<InlineFake>([&received](Exchange& exchange) {
    received = ReadBody(exchange);
    exchange.SendHead(OkHead(), 0);
    exchange.Finish();
  });
  Client client(port_);
  std::string body(3 * BodyBuffer::kMemoryLimit + 17, '\0');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 131 >> 3);
  client.Send(Post("/", body));
  ASSERT_TRUE(client.ReadResponse());
  Drain();
  Join();
  EXPECT_TRUE(received == body);
}

TEST_F(ConnectionTest, ContinuesAClientThatExpectsIt) {
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.ReadResponse()->status, 100);
  client.Send("body");
  EXPECT_EQ(client.ReadResponse()->body, "POST / body");
}

TEST_F(ConnectionTest, DoesNotContinueAClientThatSentTheBodyAnyway) {
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send(
      "POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody");
  EXPECT_EQ(client.ReadResponse()->status, 200);
}

TEST_F(ConnectionTest, ServesAClientThatShutsDownItsSide) {
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send(Get("/a") + Get("/b"));
  client.ShutdownWrite();
  EXPECT_EQ(client.ReadResponse()->body, "GET /a ");
  EXPECT_EQ(client.ReadResponse()->body, "GET /b ");
  EXPECT_TRUE(client.AtEnd());
}

// Errors and deadlines.

TEST_F(ConnectionTest, AnswersAnInvalidRequestAndCloses) {
  bool called = false;
  Start<InlineFake>([&called](Exchange& exchange) {
    called = true;
    Echo(exchange);
  });
  Client client(port_);
  client.Send("GET / HTTP/1.1\r\nHost: a\r\nBad Header: b\r\n\r\n");
  const auto response = client.ReadResponse();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 400);
  EXPECT_TRUE(response->Has("Connection: close"));
  EXPECT_TRUE(client.AtEnd());
  EXPECT_FALSE(client.was_reset());
  Drain();
  Join();
  EXPECT_FALSE(called);
}

TEST_F(ConnectionTest, AnswersAnInvalidRequestBehindAValidOne) {
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send(Get("/") + "nonsense\r\n\r\n");
  EXPECT_EQ(client.ReadResponse()->status, 200);
  EXPECT_GE(client.ReadResponse()->status, 400);
  EXPECT_TRUE(client.AtEnd());
}

// A close with unread input would be a reset, which destroys the response on its way.
TEST_F(ConnectionTest, AnErrorForHeadHasNoBody) {
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send("HEAD / HTTP/1.1\r\nHost: test\r\nHost: again\r\n\r\n");
  EXPECT_TRUE(client.ReadToEnd().ends_with("\r\n\r\n"));
}

TEST_F(ConnectionTest, LingersSoThatTheErrorArrives) {
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send("BROKEN\x01 / HTTP/1.1\r\n\r\n");
  for (int i = 0; i < 50; ++i) client.Send(std::string(10'000, 'x'));
  const auto response = client.ReadResponse();
  ASSERT_TRUE(response);
  EXPECT_GE(response->status, 400);
  EXPECT_TRUE(client.AtEnd());
  EXPECT_FALSE(client.was_reset());
}

// What comes while the application runs must not make the close a reset.
TEST_F(ConnectionTest, LingersForInputThatCameDuringTheRequest) {
  static constexpr std::size_t kSize = 400'000;
  Gate gate;
  Start<SyncFake>([&gate](Exchange& exchange) {
    gate.Arrive();
    exchange.SendHead(OkHead(), kSize);
    exchange.Write(std::string(kSize, 'x'));
    exchange.Finish();
  });
  Client client(port_, 4096);
  client.Send(Get("/"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  client.Send("\r\n");
  gate.Open();
  const auto response = client.ReadResponse();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body.size(), kSize);
  Drain();
  Join();
}

TEST_F(ConnectionTest, LingeringDoesNotCutACompleteResponseWithoutALength) {
  static constexpr std::size_t kSize = 400'000;
  Start<SyncFake>([](Exchange& exchange) {
    exchange.SendHead(OkHead(), std::nullopt);
    exchange.Write(std::string(kSize, 'x'));
    exchange.Finish();
  });
  Client client(port_, 4096);
  client.Send("GET / HTTP/1.0\r\n\r\n\r\n");
  Drain();
  Join();  // when the connection has been closed, after the time to linger
  const auto response = client.ReadResponse();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body.size(), kSize);
}

TEST_F(ConnectionTest, LingeringHoldsUpNobody) {
  Start<SyncFake>(Echo);
  Client impolite(port_);
  impolite.Send("BROKEN\x01\r\n\r\n");
  EXPECT_TRUE(impolite.ReadResponse());
  Client other(port_);
  const auto start = std::chrono::steady_clock::now();
  other.Send(Get("/"));
  EXPECT_EQ(other.ReadResponse()->status, 200);
  EXPECT_LT(SecondsSince(start), 1.5);
}

TEST_F(ConnectionTest, RefusesAHeadBeyondTheLimits) {
  options_.limits.field_size = 100;
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send("GET / HTTP/1.1\r\nHost: test\r\nX-Long: " + std::string(50'000, 'x'));
  EXPECT_EQ(client.ReadResponse()->status, 431);
}

TEST_F(ConnectionTest, AnswersAnUnfinishedHeadWith408) {
  options_.head_s = 0.1;
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send("GET / HTTP/1.1\r\nHost:");
  EXPECT_EQ(client.ReadResponse()->status, 408);
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(ConnectionTest, AnswersAnUnfinishedBodyWith408HoweverBusyTheClientIs) {
  options_.body_s = 0.2;
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n");
  pollfd socket{client.fd(), POLLIN, 0};
  for (int i = 0; i < 100 && ::poll(&socket, 1, 20) == 0; ++i) client.Send("x");
  EXPECT_EQ(client.ReadResponse()->status, 408);
}

TEST_F(ConnectionTest, ABodyThatFlowsMayTakeLongerThanItsDeadline) {
  options_.body_s = 0.1;
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 20000\r\n\r\n");
  for (int i = 0; i < 20; ++i) {
    client.Send(std::string(1000, 'x'));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(client.ReadResponse()->status, 200);
}

TEST_F(ConnectionTest, AHeadThatGrowsAllTheTimeIsNoProgress) {
  options_.head_s = 0.2;
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send("GET / HTTP/1.1\r\nHost: test\r\nX: ");
  pollfd socket{client.fd(), POLLIN, 0};
  for (int i = 0; i < 100 && ::poll(&socket, 1, 20) == 0; ++i) client.Send("x");
  EXPECT_EQ(client.ReadResponse()->status, 408);
}

TEST_F(ConnectionTest, ClosesASilentNewConnectionWithoutAnAnswer) {
  options_.head_s = 0.1;
  Start<InlineFake>(Echo);
  Client client(port_);
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(ConnectionTest, ClosesAnIdleConnectionAfterItsDeadline) {
  options_.keepalive_s = 0.2;
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send(Get("/"));
  EXPECT_TRUE(client.ReadResponse());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(client.AtEnd());
  EXPECT_GE(SecondsSince(start), 0.15);
}

TEST_F(ConnectionTest, EachRequestStartsTheIdleTimeAnew) {
  options_.keepalive_s = 0.3;
  Start<InlineFake>(Echo);
  Client client(port_);
  for (int i = 0; i < 4; ++i) {
    client.Send(Get("/"));
    ASSERT_TRUE(client.ReadResponse());
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
  }
}

TEST_F(ConnectionTest, ClosesAClientThatTakesNothingOfItsResponse) {
  options_.write_s = 0.2;
  Start<InlineFake>([](Exchange& exchange) {
    exchange.SendHead(OkHead(), 16'000'000);
    exchange.Write(std::string(16'000'000, 'x'));
    exchange.Finish();
  });
  Client client(port_, 4096);
  client.Send(Get("/"));
  Drain();
  Join();  // the drain ends because the connection is cut
  EXPECT_LT(client.ReadToEnd().size(), 16'000'000U);
}

TEST_F(ConnectionTest, AClientThatTakesSomethingIsNotCut) {
  options_.write_s = 0.2;
  static constexpr std::size_t kSize = 3'000'000;
  Start<InlineFake>([](Exchange& exchange) {
    exchange.SendHead(OkHead(), kSize);
    exchange.Write(std::string(kSize, 'x'));
    exchange.Finish();
  });
  Client client(port_, 4096);
  client.Send(Get("/"));
  std::size_t received = 0;
  std::string buffer(60'000, '\0');  // a reader that needs many times the deadline
  while (received < kSize) {
    const ssize_t got = ::recv(client.fd(), buffer.data(), buffer.size(), 0);
    ASSERT_GT(got, 0) << "cut after " << received;
    received += static_cast<std::size_t>(got);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST_F(ConnectionTest, SendsLargeResponsesToASlowReader) {
  const std::string body = [] {
    std::string bytes(8'000'000, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 >> 4);
    return bytes;
  }();
  Start<InlineFake>([&body](Exchange& exchange) {
    exchange.SendHead(OkHead(), body.size());
    exchange.Write(body);
    exchange.Finish();
  });
  Client slow(port_, 4096);
  slow.Send(Get("/") + Get("/again"));
  Client other(port_);  // is served meanwhile
  other.Send(Get("/"));
  EXPECT_TRUE(other.ReadResponse()->body == body);
  EXPECT_TRUE(slow.ReadResponse()->body == body);
  EXPECT_TRUE(slow.ReadResponse()->body == body);
  Drain();
  Join();
}

// Behind a proxy.

// "HOST PORT PROTOCOL PROXY_HOST PROXY_PORT SCHEME"
void EchoPeer(Exchange& exchange) {
  std::string text = exchange.peer().host + " " + std::to_string(exchange.peer().port);
  if (const ProxyHeader* proxy = exchange.proxy()) {
    text +=
        " " + proxy->protocol + " " + proxy->proxy_host + " " + std::to_string(proxy->proxy_port);
  }
  if (exchange.request().secure) text += " https";
  exchange.SendHead(OkHead(), text.size());
  exchange.Write(text);
  exchange.Finish();
}

class ProxyTest : public ConnectionTest {
 protected:
  void StartBehind(const std::string& proxies) {
    options_.proxy_protocol = ProxyProtocol::kAuto;
    options_.proxies = *IpNetworks::Parse(proxies);
    Start<InlineFake>(EchoPeer);
  }
};

constexpr char kProxyLine[] = "PROXY TCP4 192.0.2.7 203.0.113.1 4321 443\r\n";

TEST_F(ProxyTest, TheClientOfTheProxyHoldsForTheWholeConnection) {
  StartBehind("127.0.0.1");
  Client client(port_);
  client.Send(kProxyLine + Get("/"));
  EXPECT_EQ(client.ReadResponse()->body, "192.0.2.7 4321 TCP4 203.0.113.1 443");
  client.Send(Get("/"));
  EXPECT_EQ(client.ReadResponse()->body, "192.0.2.7 4321 TCP4 203.0.113.1 443");
}

TEST_F(ProxyTest, HoldsForThatConnectionOnly) {
  StartBehind("127.0.0.1");
  {
    Client client(port_);
    client.Send(kProxyLine + Get("/"));
    EXPECT_TRUE(client.ReadResponse());
  }
  Client other(port_);
  other.Send(Get("/"));
  EXPECT_TRUE(other.ReadResponse()->body.starts_with("127.0.0.1 "));
}

TEST_F(ProxyTest, ARefusedClientThatIsGoneLeavesNothingToTheNext) {
  StartBehind("192.0.2.0/24");
  for (int i = 0; i < 50; ++i) {
    Client stranger(port_);
    stranger.Send(kProxyLine);
    stranger.CloseWithReset();
    Client next(port_);
    next.Send("GET / HTTP/1.1\r\nHost: test\r\nX: " + std::string(8000, 'x') + "\r\n\r\n");
    ASSERT_EQ(next.ReadResponse()->status, 200);
  }
}

TEST_F(ProxyTest, TakesAHeaderByteByByte) {
  StartBehind("127.0.0.1");
  Client client(port_);
  for (const char c : kProxyLine + Get("/")) {
    client.Send(std::string(1, c));
    WaitForTurn();
  }
  EXPECT_TRUE(client.ReadResponse()->body.starts_with("192.0.2.7 4321 "));
}

TEST_F(ProxyTest, AConnectionOfItsOwnHasItsOwnAddresses) {
  StartBehind("127.0.0.1");
  Client client(port_);
  client.Send("PROXY UNKNOWN\r\n" + Get("/"));
  EXPECT_TRUE(client.ReadResponse()->body.starts_with("127.0.0.1 "));
}

TEST_F(ProxyTest, AMethodThatBeginsLikeAHeaderIsNone) {
  StartBehind("127.0.0.1");
  Client client(port_);
  client.Send("PRO");
  WaitForTurn();
  client.Send("PFIND / HTTP/1.1\r\nHost: test\r\n\r\n");
  EXPECT_EQ(client.ReadResponse()->status, 200);
}

TEST_F(ProxyTest, RefusesAMalformedHeader) {
  StartBehind("127.0.0.1");
  Client client(port_);
  client.Send("PROXY TCP4 192.0.2.7\r\n" + Get("/"));
  EXPECT_EQ(client.ReadResponse()->status, 400);
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(ProxyTest, RefusesAHeaderOfAStranger) {
  StartBehind("192.0.2.0/24");
  Client client(port_);
  client.Send(kProxyLine + Get("/"));
  EXPECT_EQ(client.ReadResponse()->status, 403);
  Client plain(port_);
  plain.Send(Get("/"));
  EXPECT_EQ(plain.ReadResponse()->status, 200);
}

TEST_F(ProxyTest, AHeaderThatDoesNotEndIsAnsweredWith408) {
  options_.head_s = 0.1;
  StartBehind("127.0.0.1");
  Client client(port_);
  client.Send("PROXY TCP4");
  EXPECT_EQ(client.ReadResponse()->status, 408);
}

TEST_F(ConnectionTest, AProxyHeaderIsNoRequestUnlessExpected) {
  Start<InlineFake>(EchoPeer);
  Client client(port_);
  client.Send(kProxyLine + Get("/"));
  EXPECT_EQ(client.ReadResponse()->status, 400);
}

constexpr char kForwarded[] = "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-Proto: https\r\n\r\n";

TEST_F(ConnectionTest, ForwardedHeadersOfATrustedPeerHold) {
  options_.forwarders = *IpNetworks::Parse("127.0.0.0/8");
  Start<InlineFake>(EchoPeer);
  Client client(port_);
  client.Send(kForwarded);
  EXPECT_TRUE(client.ReadResponse()->body.ends_with(" https"));
  client.Send(
      "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-Proto: https\r\n"
      "X-Forwarded-Ssl: off\r\n\r\n");
  EXPECT_EQ(client.ReadResponse()->status, 400);
}

TEST_F(ConnectionTest, ForwardedHeadersOfAStrangerDoNotHold) {
  options_.forwarders = *IpNetworks::Parse("192.0.2.1");
  Start<InlineFake>(EchoPeer);
  Client client(port_);
  client.Send(kForwarded);
  EXPECT_FALSE(client.ReadResponse()->body.ends_with(" https"));
}

// Disconnects. After each the engine must still serve, and have let go of the connection: a drain
// ends.

TEST_F(ConnectionTest, ClientLeavesInEachPhaseOfARequest) {
  Start<InlineFake>(Echo);
  const std::string request = Post("/", "body");
  for (std::size_t length = 0; length <= request.size(); ++length) {
    Client client(port_);
    client.Send(request.substr(0, length));
    if (length % 2 == 0) {
      client.CloseWithReset();
    } else {
      client.Close();
    }
  }
  Client survivor(port_);
  survivor.Send(request);
  EXPECT_EQ(survivor.ReadResponse()->status, 200);
  survivor.Close();
  Drain();
  Join();
}

TEST_F(ConnectionTest, ClientLeavesWhileTheApplicationRuns) {
  Gate gate;
  std::atomic<int> closed = 0;
  Start<ThreadedFake>(
      [&](Exchange& exchange) {
        gate.Arrive();
        exchange.SendHead(OkHead(), std::nullopt);
        const std::string chunk(100'000, 'x');
        for (int i = 0; i < 1000; ++i) {
          const auto status = exchange.Write(chunk);
          if (status == Exchange::WriteStatus::kFull && WaitForRoom(exchange, 5)) continue;
          if (status == Exchange::WriteStatus::kOk) continue;
          ++closed;
          break;
        }
        exchange.Finish();
      },
      2);
  Client polite(port_);
  Client rude(port_);
  polite.Send(Get("/"));
  rude.Send(Get("/"));
  ASSERT_TRUE(gate.WaitForArrivals(2));
  polite.Close();
  rude.CloseWithReset();
  WaitForTurn();
  gate.Open();
  Drain();
  Join();
  EXPECT_EQ(closed, 2);
}

TEST_F(ConnectionTest, ClientLeavesInTheMiddleOfALargeResponse) {
  Start<InlineFake>([](Exchange& exchange) {
    exchange.SendHead(OkHead(), 16'000'000);
    exchange.Write(std::string(16'000'000, 'x'));
    exchange.Finish();
  });
  Client client(port_, 4096);
  client.Send(Get("/"));
  EXPECT_TRUE(client.Receive());
  client.CloseWithReset();
  Drain();
  Join();
}

TEST_F(ConnectionTest, ARequestWhoseClientLeftInTheQueueIsNotRun) {
  Gate gate;
  std::atomic<int> runs = 0;
  Start<ThreadedFake>(
      [&](Exchange& exchange) {
        ++runs;
        gate.Arrive();
        Echo(exchange);
      },
      1);
  Client impatient(port_);
  Client first(port_);
  // Both connections have to be accepted before the only place is taken.
  impatient.Send("GET /impatient HTTP/1.1\r\n");
  first.Send("GET /first HTTP/1.1\r\n");
  while (scoreboard_->Counters(0).connections < 2) std::this_thread::yield();
  first.Send("Host: test\r\n\r\n");
  ASSERT_TRUE(gate.WaitForArrivals(1));
  impatient.Send("Host: test\r\n\r\n");
  WaitForTurn();
  impatient.CloseWithReset();
  WaitForTurn();
  gate.Open();
  EXPECT_EQ(first.ReadResponse()->body, "GET /first ");
  Drain();
  Join();
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace gunid
