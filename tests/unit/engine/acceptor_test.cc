#include "engine/acceptor.h"

#include <sys/resource.h>
#include <sys/un.h>

#include "engine/engine_fixture.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

using AcceptorTest = EngineTest;

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// Connections that have had an answer and are kept; fewer if one was not answered.
std::vector<std::unique_ptr<Client>> KeptClients(int port, int count) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < count; ++i) {
    auto client = std::make_unique<Client>(port);
    client->Send(Get("/"));
    if (client->ReadResponse()) clients.push_back(std::move(client));
  }
  return clients;
}

TEST_F(AcceptorTest, TellsTheAddressesOfBothEnds) {
  std::string peer;
  int listener_port = 0;
  Start<InlineFake>([&](Exchange& exchange) {
    peer = exchange.peer().host + ":" + std::to_string(exchange.peer().port);
    listener_port = exchange.listener().port;
    Echo(exchange);
  });
  Client client(port_);
  sockaddr_in own{};
  socklen_t length = sizeof own;
  ::getsockname(client.fd(), reinterpret_cast<sockaddr*>(&own), &length);
  client.Send(Get("/"));
  ASSERT_TRUE(client.ReadResponse());
  Drain();
  Join();
  EXPECT_EQ(peer, "127.0.0.1:" + std::to_string(ntohs(own.sin_port)));
  EXPECT_EQ(listener_port, port_);
}

TEST_F(AcceptorTest, SmallResponsesAreNotDelayed) {
  Start<InlineFake>(Echo);
  int no_delay = 0;  // which accepted sockets inherit
  socklen_t length = sizeof no_delay;
  ::getsockopt(listeners_[0].fd.get(), IPPROTO_TCP, 1 /* TCP_NODELAY */, &no_delay, &length);
  EXPECT_NE(no_delay, 0);
}

TEST_F(AcceptorTest, PausesAtTheMostConnectionsAndResumes) {
  options_.max_connections = 2;
  options_.keepalive_s = 60;
  Start<InlineFake>(Echo);
  Client first(port_);
  Client second(port_);
  for (Client* client : {&first, &second}) {
    client->Send(Get("/"));
    ASSERT_TRUE(client->ReadResponse());
  }
  Client third(port_);
  third.Send(Get("/third"));
  const double cpu = CpuSeconds();
  pollfd socket{third.fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&socket, 1, 200), 0);
  EXPECT_LT(CpuSeconds() - cpu, 0.1);
  EXPECT_EQ(scoreboard_->Counters(0).connections, 2U);
  first.Close();
  EXPECT_EQ(third.ReadResponse()->body, "GET /third ");
}

TEST_F(AcceptorTest, LeavesConnectionsToOtherWorkersWhileTheExecutorIsFull) {
  Gate gate;
  Start<ThreadedFake>(
      [&gate](Exchange& exchange) {
        gate.Arrive();
        Echo(exchange);
      },
      1);
  Client first(port_);
  first.Send(Get("/1"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  WaitForTurn();
  Client second(port_);
  second.Send(Get("/2"));
  WaitForTurn();
  EXPECT_EQ(scoreboard_->Counters(0).connections, 1U);
  gate.Open();
  EXPECT_TRUE(first.ReadResponse());
  EXPECT_EQ(second.ReadResponse()->body, "GET /2 ");
}

TEST_F(AcceptorTest, KeptConnectionsThatAreBusyDoNotKeepNewOnesOut) {
  options_.keepalive_s = 60;
  Gate gate;
  std::vector<std::uint64_t> accepted;  // when /new was executed
  Start<InlineFake>([&](Exchange& exchange) {
    if (exchange.request().target == "/gate") gate.Arrive();
    if (exchange.request().target == "/new") {
      accepted.push_back(scoreboard_->Counters(0).connections);
    }
    Echo(exchange);
  });
  constexpr int kKept = 4;
  std::vector<std::unique_ptr<Client>> clients = KeptClients(port_, kKept);
  ASSERT_EQ(clients.size(), kKept);
  clients[0]->Send(Get("/gate"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  for (int i = 1; i < kKept; ++i) clients[i]->Send(Get("/"));
  for (int i = 0; i < kKept; ++i) {
    clients.push_back(std::make_unique<Client>(port_));
    clients.back()->Send(Get("/new"));
  }
  gate.Open();
  for (auto& client : clients) EXPECT_TRUE(client->ReadResponse());
  Drain();
  Join();
  // Not one in each turn, when there is a place: as many as requests had to wait in the turn before.
  ASSERT_EQ(accepted.size(), static_cast<std::size_t>(kKept));
  EXPECT_GT(accepted[1], kKept + 2U);
}

// Kept connections whose calls have begun while more waited, the last of them in a long one, and a fresh
// connection that waits.
class CrowdedAcceptorTest : public AcceptorTest {
 protected:
  void Crowd(double late_look_s) {
    options_.keepalive_s = 60;
    options_.late_look_s = late_look_s;
    Start<ThreadedFake>(
        [this](Exchange& exchange) {
          if (exchange.request().target == "/first") first_.Arrive();
          if (exchange.request().target == "/last") last_.Arrive();
          Echo(exchange);
        },
        1);
    kept_ = KeptClients(port_, kKept);
    ASSERT_EQ(kept_.size(), kKept);
    kept_[0]->Send(Get("/first"));
    ASSERT_TRUE(first_.WaitForArrivals(1));
    for (int i = 1; i < kKept; ++i) {
      kept_[i]->Send(Get(i < kKept - 1 ? "/" : "/last"));
      WaitForTurn();
    }
    fresh_ = std::make_unique<Client>(port_);
    fresh_->Send(Get("/fresh"));
    first_.Open();
    ASSERT_TRUE(last_.WaitForArrivals(1));
  }

  static constexpr int kKept = 4;
  Gate first_;
  Gate last_;
  std::vector<std::unique_ptr<Client>> kept_;
  std::unique_ptr<Client> fresh_;
};

TEST_F(CrowdedAcceptorTest, LeavesConnectionsToOtherWorkersWhereAllPlacesAreTakenForLong) {
  Crowd(3600);
  WaitForTurn();
  EXPECT_EQ(scoreboard_->Counters(0).connections, kKept);
  last_.Open();
  EXPECT_EQ(fresh_->ReadResponse()->body, "GET /fresh ");
  Drain();
  Join();
}

// Else they would wait as long as there are requests of kept connections.
TEST_F(CrowdedAcceptorTest, TakesConnectionsThatNoOtherWorkerHasTaken) {
  Crowd(0.001);
  while (scoreboard_->Counters(0).connections == kKept) WaitForTurn();
  last_.Open();
  EXPECT_EQ(fresh_->ReadResponse()->body, "GET /fresh ");
  Drain();
  Join();
}

TEST_F(AcceptorTest, TriesAgainAfterAFailureWithoutABusyLoop) {
  // Not listening yet: the loop reports it all the time, and accept fails.
  Listener listener{{}, UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0))};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ASSERT_EQ(::bind(listener.fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  ::getsockname(listener.fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
  const int late_fd = listener.fd.get();
  listeners_.push_back(std::move(listener));

  const double cpu = CpuSeconds();
  Start<InlineFake>(Echo);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(CpuSeconds() - cpu, 0.1);
  Client other(port_);  // the other listener is served
  other.Send(Get("/"));
  EXPECT_TRUE(other.ReadResponse());

  ASSERT_EQ(::listen(late_fd, 8), 0);
  Client client(ntohs(address.sin_port));
  client.Send(Get("/late"));
  EXPECT_EQ(client.ReadResponse()->body, "GET /late ");
}

TEST_F(AcceptorTest, AcceptsOnUnixSockets) {
  const TemporaryDirectory directory;
  ListenerAddress address;
  address.family = ListenerAddress::Family::kUnix;
  address.path = directory.path() + "/socket";
  Result<Listener> listener = OpenListener(address, 64, 0);
  ASSERT_TRUE(listener.ok()) << listener.error().message;
  listeners_.push_back(std::move(*listener));
  std::string peer = "unset";
  Start<InlineFake>([&peer](Exchange& exchange) {
    peer = exchange.peer().host;
    Echo(exchange);
  });
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  address.path.copy(name.sun_path, sizeof name.sun_path - 1);
  ASSERT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  const std::string request = Get("/");
  ASSERT_EQ(::send(socket.get(), request.data(), request.size(), 0),
            static_cast<ssize_t>(request.size()));
  char answer[12];
  ASSERT_EQ(::recv(socket.get(), answer, sizeof answer, MSG_WAITALL), 12);
  EXPECT_EQ(std::string_view(answer, 12), "HTTP/1.1 200");
  Drain();
  Join();
  EXPECT_EQ(peer, "");
}

}  // namespace
}  // namespace gunid
