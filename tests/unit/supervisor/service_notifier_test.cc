#include "supervisor/service_notifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstdlib>

#include "support/temporary_directory.h"

namespace gunid {
namespace {

using Phase = ServiceState::Phase;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

TEST(ServiceStatus, CountsTheWorkersAndSaysWhatFails) {
  EXPECT_EQ(ServiceStatus(4, 4, 2, ""), "4 workers, generation 2");
  EXPECT_EQ(ServiceStatus(1, 1, 1, ""), "1 worker, generation 1");
  EXPECT_EQ(ServiceStatus(3, 4, 2, "reload failed: no module"),
            "3 of 4 workers, generation 2; reload failed: no module");
}

TEST(ServiceMessage, SaysOnlyWhatHasChanged) {
  const ServiceState serving{Phase::kServing, "1 worker"};
  EXPECT_EQ(ServiceMessage({}, serving, 5), "READY=1\nSTATUS=1 worker\n");
  EXPECT_EQ(ServiceMessage(serving, serving, 5), "");
  EXPECT_EQ(ServiceMessage(serving, {Phase::kServing, "2 workers"}, 5), "STATUS=2 workers\n");
  EXPECT_EQ(ServiceMessage(serving, {Phase::kReloading, "1 worker"}, 5),
            "RELOADING=1\nMONOTONIC_USEC=5\n");
  EXPECT_EQ(ServiceMessage({Phase::kReloading, "1 worker"}, serving, 5), "READY=1\n");
  EXPECT_EQ(ServiceMessage(serving, {Phase::kStopping, "1 worker"}, 5), "STOPPING=1\n");
}

TEST(ServiceMessage, AStatusIsOneLine) {
  EXPECT_EQ(ServiceMessage({}, {Phase::kStarting, "a\nREADY=1"}, 5), "STATUS=a READY=1\n");
}

TEST(ServiceNotifier, AnAddressIsAPathOrAnAbstractName) {
  EXPECT_TRUE(ServiceNotifier::SocketAddress("/run/systemd/notify"));
  EXPECT_TRUE(ServiceNotifier::SocketAddress("@name"));
  for (const std::string& value : {std::string("relative"), std::string("/"),
                                   std::string("vsock:2:1"), std::string(200, '/')}) {
    const auto address = ServiceNotifier::SocketAddress(value);
    ASSERT_FALSE(address) << value;
    EXPECT_THAT(address.error().message, HasSubstr("NOTIFY_SOCKET '" + value + "'"));
  }
}

class ServiceNotifierTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string path = directory_.File("notify");
    const std::string address = *ServiceNotifier::SocketAddress(path);
    ASSERT_EQ(bind(manager_.get(), reinterpret_cast<const sockaddr*>(address.data()),
                   static_cast<socklen_t>(address.size())),
              0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~ServiceNotifierTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  }

  // "" if there is no datagram.
  std::string Received() {
    char bytes[4096];
    const ssize_t size = recv(manager_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    return size < 0 ? "" : std::string(bytes, static_cast<std::size_t>(size));
  }

  TemporaryDirectory directory_;
  UniqueFd manager_{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  EventLoop loop_;
};

TEST_F(ServiceNotifierTest, TellsAndHidesTheSocketFromChildren) {
  ServiceNotifier notifier(loop_);
  EXPECT_TRUE(notifier.enabled());
  EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr);
  notifier.Report({Phase::kServing, "1 worker"});
  EXPECT_EQ(Received(), "READY=1\nSTATUS=1 worker\n");
  notifier.Report({Phase::kServing, "1 worker"});
  EXPECT_EQ(Received(), "");
}

TEST_F(ServiceNotifierTest, AsksForTimeWhileItStartsAndStops) {
  ServiceNotifier notifier(loop_);
  notifier.Report({Phase::kStarting, ""});
  EXPECT_THAT(Received(), HasSubstr("EXTEND_TIMEOUT_USEC="));
  notifier.Report({Phase::kServing, ""});
  EXPECT_THAT(Received(), Not(HasSubstr("EXTEND_TIMEOUT_USEC=")));
  notifier.Report({Phase::kStopping, ""});
  EXPECT_EQ(Received(), "STOPPING=1\n");
  EXPECT_THAT(Received(), HasSubstr("EXTEND_TIMEOUT_USEC="));
}

TEST_F(ServiceNotifierTest, TheLoopFeedsTheWatchdog) {
  setenv("WATCHDOG_USEC", "20000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  ServiceNotifier notifier(loop_);
  EXPECT_EQ(Received(), "WATCHDOG=1\n");
  EXPECT_EQ(Received(), "");
  const TimePoint end = Clock().Now() + seconds(20);
  std::string next;
  while (next.empty() && Clock().Now() < end) {
    loop_.RunOnce(milliseconds(100));
    next = Received();
  }
  EXPECT_EQ(next, "WATCHDOG=1\n");
}

TEST_F(ServiceNotifierTest, TheWatchdogOfAnotherProcessIsNotFed) {
  setenv("WATCHDOG_USEC", "20000", 1);
  setenv("WATCHDOG_PID", "1", 1);
  ServiceNotifier notifier(loop_);
  EXPECT_EQ(Received(), "");
}

TEST_F(ServiceNotifierTest, WhatFoundNoRoomIsSentLater) {
  ServiceNotifier notifier(loop_);
  constexpr int kMessages = 40;  // a Unix socket holds fewer datagrams
  for (int i = 1; i <= kMessages; ++i) {
    notifier.Report({Phase::kServing, std::to_string(i) + " workers"});
  }
  const std::string last = "STATUS=" + std::to_string(kMessages) + " workers\n";
  const TimePoint end = Clock().Now() + seconds(20);
  std::string got;
  while (got != last && Clock().Now() < end) {
    got = Received();
    if (got.empty()) loop_.RunOnce(milliseconds(100));
  }
  EXPECT_EQ(got, last);
}

}  // namespace
}  // namespace gunid
