#include "ipc/handover.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <vector>

namespace gunid {
namespace {

class HandoverTest : public testing::Test {
 protected:
  void SetUp() override {
    auto created = Handover::Create();
    ASSERT_TRUE(created.ok()) << created.error().message;
    handover.emplace(std::move(*created));
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    client.Reset(fds[0]);
    connection.Reset(fds[1]);
  }

  std::optional<Handover> handover;
  UniqueFd client;
  UniqueFd connection;
};

TEST_F(HandoverTest, CarriesConnectionAndAddressAndWhatHasCome) {
  ASSERT_EQ(::send(client.get(), "GET", 3, 0), 3);
  const ListenerAddress address{
      .family = ListenerAddress::Family::kIpv6, .host = "::1", .port = 65535};
  ASSERT_TRUE(handover->Send(connection.get(), address, true));
  connection.Reset();  // as a worker that goes
  HandedConnection handed;
  ASSERT_EQ(handover->Receive(handed), Handover::Receipt::kConnection);
  EXPECT_EQ(handed.listener, address);
  EXPECT_TRUE(handed.fresh);
  EXPECT_NE(::fcntl(handed.socket.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(handed.socket.get(), F_GETFD) & FD_CLOEXEC, 0);
  std::array<char, 8> bytes{};
  EXPECT_EQ(::recv(handed.socket.get(), bytes.data(), bytes.size(), 0), 3);
  EXPECT_EQ(handover->Receive(handed), Handover::Receipt::kNothing);
}

TEST_F(HandoverTest, CarriesTheAddressOfAUnixSocket) {
  const ListenerAddress address{.family = ListenerAddress::Family::kUnix, .path = "@name"};
  ASSERT_TRUE(handover->Send(connection.get(), address, false));
  HandedConnection handed;
  ASSERT_EQ(handover->Receive(handed), Handover::Receipt::kConnection);
  EXPECT_EQ(handed.listener, address);
  EXPECT_FALSE(handed.fresh);
}

TEST_F(HandoverTest, QueuesManyAndRefusesMoreThanFit) {
  const ListenerAddress address{.host = "127.0.0.1", .port = 80};
  int sent = 0;
  while (sent < 100'000 && handover->Send(connection.get(), address, false)) ++sent;
  EXPECT_GE(sent, 100);
  EXPECT_LT(sent, 100'000);
  HandedConnection handed;
  for (int i = 0; i < sent; ++i) {
    ASSERT_EQ(handover->Receive(handed), Handover::Receipt::kConnection);
  }
  EXPECT_EQ(handover->Receive(handed), Handover::Receipt::kNothing);
  EXPECT_TRUE(handover->Send(connection.get(), address, false));
}

TEST_F(HandoverTest, ClosedInAllProcessesItTakesNoMoreAndGivesWhatIsQueued) {
  const Handover of_a_worker(UniqueFd(::dup(handover->sending_fd())),
                             UniqueFd(::dup(handover->receiving_fd())));
  ASSERT_TRUE(of_a_worker.Send(connection.get(), {}, false));
  EXPECT_FALSE(of_a_worker.closed());
  handover->Close();
  EXPECT_TRUE(of_a_worker.closed());
  EXPECT_FALSE(of_a_worker.Send(connection.get(), {}, false));
  HandedConnection handed;
  EXPECT_EQ(of_a_worker.Receive(handed), Handover::Receipt::kConnection);
  EXPECT_EQ(of_a_worker.Receive(handed), Handover::Receipt::kClosed);
}

TEST_F(HandoverTest, DropsWhatIsNoSuchMessage) {
  HandedConnection handed;
  ASSERT_EQ(::send(handover->sending_fd(), "x", 1, 0), 1);
  EXPECT_EQ(handover->Receive(handed), Handover::Receipt::kNothing);
  EXPECT_FALSE(handed.socket);
  ASSERT_TRUE(
      handover->Send(connection.get(), {.family = static_cast<ListenerAddress::Family>(9)}, false));
  EXPECT_EQ(handover->Receive(handed), Handover::Receipt::kNothing);
}

}  // namespace
}  // namespace gunid
