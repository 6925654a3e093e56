#include "supervisor/listener_set.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>

namespace gunid {
namespace {

Settings Binding(std::vector<std::string> binds) {
  Settings settings;
  settings.bind = std::move(binds);
  return settings;
}

class ListenerSetTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/gunid-listeners-XXXXXX";
    directory = mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(directory); }
  [[nodiscard]] std::string Unix(const std::string& name) const {
    return "unix:" + (directory / name).string();
  }

  std::filesystem::path directory;
};

TEST_F(ListenerSetTest, KeepsWhatIsBoundAlreadyAndClosesTheRest) {
  auto first = ListenerSet::Open(Binding({"127.0.0.1:0", Unix("a")}), {});
  ASSERT_TRUE(first.ok());
  auto second = ListenerSet::Open(Binding({Unix("b"), "127.0.0.1:0"}), *first);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->fds()[1], first->fds()[0]);
  EXPECT_EQ(second->addresses()[1], first->addresses()[0]);

  *first = ListenerSet();
  EXPECT_FALSE(std::filesystem::exists(directory / "a"));
  EXPECT_TRUE(std::filesystem::exists(directory / "b"));
}

TEST_F(ListenerSetTest, AFailureLeavesNothingOpen) {
  auto taken = ListenerSet::Open(Binding({"127.0.0.1:0"}), {});
  ASSERT_TRUE(taken.ok());
  const std::string busy = "127.0.0.1:" + std::to_string(taken->addresses()[0].port);
  const auto failed = ListenerSet::Open(Binding({Unix("a"), busy}), {});
  ASSERT_FALSE(failed.ok());
  EXPECT_NE(failed.error().message.find(busy), std::string::npos) << failed.error().message;
  EXPECT_FALSE(std::filesystem::exists(directory / "a"));
}

TEST_F(ListenerSetTest, ShutDownRefusesConnectionsAlsoWhereTheSocketIsStillOpen) {
  auto set = ListenerSet::Open(Binding({"127.0.0.1:0", Unix("a")}), {});
  ASSERT_TRUE(set.ok());
  const UniqueFd of_a_worker(dup(set->fds()[1]));
  set->ShutDown();
  const UniqueFd client(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (directory / "a").string().copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), -1);
  EXPECT_EQ(errno, ECONNREFUSED);
}

TEST_F(ListenerSetTest, StopListeningKeepsTheQueueOfAUnixSocket) {
  auto set = ListenerSet::Open(Binding({Unix("a")}), {});
  ASSERT_TRUE(set.ok());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (directory / "a").string().copy(address.sun_path, sizeof address.sun_path - 1);
  const UniqueFd queued(socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(connect(queued.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const int worker = set->fds()[0];
  set->StopListening();
  EXPECT_FALSE(std::filesystem::exists(directory / "a"));
  EXPECT_TRUE(set->ShutDownEmpty());
  EXPECT_TRUE(UniqueFd(accept(worker, nullptr, nullptr)));
  EXPECT_EQ(accept(worker, nullptr, nullptr), -1);
}

TEST_F(ListenerSetTest, StopListeningKeepsTheQueueOfATcpSocketAndTakesNoMore) {
  auto set = ListenerSet::Open(Binding({"127.0.0.1:0"}), {});
  ASSERT_TRUE(set.ok());
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(set->addresses()[0].port));
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  const UniqueFd queued(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(connect(queued.get(), name, sizeof address), 0);
  set->StopListening();
  const UniqueFd late(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  EXPECT_EQ(connect(late.get(), name, sizeof address), -1);
  EXPECT_EQ(errno, EINPROGRESS);
  EXPECT_FALSE(set->ShutDownEmpty());

  const int worker = set->fds()[0];
  const UniqueFd accepted(accept(worker, nullptr, nullptr));
  ASSERT_TRUE(accepted);
  EXPECT_TRUE(set->ShutDownEmpty());
  EXPECT_EQ(accept(worker, nullptr, nullptr), -1);
  EXPECT_EQ(errno, EINVAL);
  ASSERT_EQ(send(accepted.get(), "x", 1, MSG_NOSIGNAL), 1);  // it lives on
  char byte = 0;
  EXPECT_EQ(recv(queued.get(), &byte, 1, 0), 1);
  pollfd refused{late.get(), POLLOUT, 0};
  ASSERT_EQ(poll(&refused, 1, 20'000), 1);
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(late.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  EXPECT_EQ(error, ECONNREFUSED);
}

TEST_F(ListenerSetTest, DoesNotRemoveAPathThatAnotherHasTaken) {
  auto set = ListenerSet::Open(Binding({Unix("a")}), {});
  ASSERT_TRUE(set.ok());
  std::filesystem::rename(directory / "a", directory / "old");
  auto other = ListenerSet::Open(Binding({Unix("a")}), {});
  ASSERT_TRUE(other.ok());
  *set = ListenerSet();
  EXPECT_TRUE(std::filesystem::exists(directory / "a"));
}

TEST_F(ListenerSetTest, InheritedSocketsStayTheirOwners) {
  auto owned = OpenListener(*ParseBind(Unix("a")), 16, 0);
  ASSERT_TRUE(owned.ok());
  const int number = owned->fd.Release();
  const auto inherited = InheritedSockets::Take();
  ASSERT_TRUE(inherited.ok()) << inherited.error().message;
  const Settings settings = Binding({"fd://" + std::to_string(number)});
  auto set = ListenerSet::Open(settings, {}, *inherited);
  ASSERT_TRUE(set.ok()) << set.error().message;
  const auto next = ListenerSet::Open(settings, *set, *inherited);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->fds(), set->fds());

  set->ShutDown();
  *set = ListenerSet();
  int listens = 0;
  socklen_t size = sizeof listens;
  getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
  EXPECT_EQ(listens, 1);
  EXPECT_TRUE(std::filesystem::exists(directory / "a"));
}

}  // namespace
}  // namespace gunid
