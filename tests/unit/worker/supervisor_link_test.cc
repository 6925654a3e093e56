#include "worker/supervisor_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace gunid {
namespace {

using ::testing::HasSubstr;

constexpr unsigned kPatience = 60;  // seconds

// What was called, in the order in which it was; waits for more.
class Calls {
 public:
  void Add(std::string call) {
    {
      const std::lock_guard lock(mutex_);
      calls_.push_back(std::move(call));
    }
    added_.notify_all();
  }
  std::vector<std::string> Await(std::size_t count) {
    std::unique_lock lock(mutex_);
    added_.wait(lock, [&] { return calls_.size() >= count; });
    return calls_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable added_;
  std::vector<std::string> calls_;
};

class SupervisorLinkTest : public ::testing::Test {
 protected:
  SupervisorLinkTest() { Connect(); }

  void Connect() {
    auto pair = MessageSocket::Pair();
    EXPECT_TRUE(pair.ok());
    supervisor_ = std::move(pair->first);
    worker_ = std::move(pair->second);
  }
  // What does not come is waited for for ever.
  void SetUp() override { alarm(kPatience); }
  void TearDown() override { alarm(0); }

  SupervisorRequests Recorded() {
    return {.cancel = [this](std::uint64_t s) { calls_.Add("cancel " + std::to_string(s)); },
            .write_stacks = [this] { calls_.Add("stacks"); },
            .abandon = [this](std::uint64_t s) { calls_.Add("abandon " + std::to_string(s)); }};
  }

  void Say(const Message& message) { SayBytes(EncodeMessage(message)); }
  void SayBytes(const std::string& bytes) { ASSERT_TRUE(supervisor_.Send(bytes).ok()); }

  // The next message that the supervisor gets.
  std::optional<Message> Hear() {
    pollfd fd{supervisor_.fd(), POLLIN, 0};
    while (poll(&fd, 1, -1) < 1) {
    }
    auto packet = supervisor_.Receive();
    if (!packet || !*packet) return std::nullopt;
    auto message = DecodeMessage((*packet)->bytes);
    return message ? std::optional(*message) : std::nullopt;
  }

  MessageSocket supervisor_;
  MessageSocket worker_;
  Calls calls_;
};

TEST_F(SupervisorLinkTest, PassesOnWhatTheSupervisorAsks) {
  const SupervisorLink link(worker_, Recorded());
  Say(CancelRequest{7});
  calls_.Await(1);
  Say(AbandonRequest{18446744073709551615U});
  calls_.Await(2);
  Say(StacksWanted{});
  EXPECT_THAT(calls_.Await(3),
              ::testing::ElementsAre("cancel 7", "abandon 18446744073709551615", "stacks"));
}

TEST_F(SupervisorLinkTest, HearsWhatCameBeforeIt) {
  for (const std::uint64_t serial : {1, 2, 3}) Say(CancelRequest{serial});
  const SupervisorLink link(worker_, Recorded());
  EXPECT_THAT(calls_.Await(3), ::testing::ElementsAre("cancel 1", "cancel 2", "cancel 3"));
}

TEST_F(SupervisorLinkTest, AbandonsWhileACancellationWaits) {
  std::promise<void> gil;
  SupervisorRequests requests = Recorded();
  requests.cancel = [&, waited = gil.get_future().share()](std::uint64_t) {
    calls_.Add("waiting");
    waited.wait();
    calls_.Add("cancelled");
  };
  const SupervisorLink link(worker_, std::move(requests));
  Say(CancelRequest{1});
  calls_.Await(1);
  Say(StacksWanted{});
  Say(AbandonRequest{1});
  EXPECT_THAT(calls_.Await(2), ::testing::ElementsAre("waiting", "abandon 1"));
  gil.set_value();
  EXPECT_THAT(calls_.Await(4),
              ::testing::ElementsAre("waiting", "abandon 1", "cancelled", "stacks"));
}

TEST_F(SupervisorLinkTest, SendsFromSeveralThreads) {
  constexpr int kThreads = 4;
  constexpr int kMessages = 500;
  const SupervisorLink link(worker_, Recorded());
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&link, i] {
      for (int n = 0; n < kMessages; ++n) link.Send(RecycleWanted{std::string(1000, 'a' + i)});
    });
  }
  std::vector<int> counts(kThreads);
  for (int n = 0; n < kThreads * kMessages; ++n) {
    const auto message = Hear();
    ASSERT_TRUE(message);
    const std::string reason = std::get<RecycleWanted>(*message).reason;
    ASSERT_EQ(std::string(1000, reason.at(0)), reason);
    ++counts.at(static_cast<std::size_t>(reason[0] - 'a'));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::vector<int>(kThreads, kMessages), counts);
}

TEST_F(SupervisorLinkTest, IgnoresWhatItDoesNotUnderstand) {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  {
    const SupervisorLink link(worker_, Recorded());
    SayBytes("{");
    SayBytes(R"({"type": "nonsense"})");
    Say(Go{});
    Say(CancelRequest{1});
    EXPECT_THAT(calls_.Await(1), ::testing::ElementsAre("cancel 1"));
  }
  spdlog::set_default_logger(before);
  const std::string text = log.str();
  EXPECT_EQ(3, std::count(text.begin(), text.end(), '\n')) << text;
  EXPECT_THAT(text, HasSubstr("ignored what the supervisor said: not a request to"));
}

TEST_F(SupervisorLinkTest, StopsToListen) {
  { const SupervisorLink link(worker_, Recorded()); }
  Say(CancelRequest{1});
  const auto packet = worker_.Receive();  // the link has left it
  ASSERT_TRUE(packet.ok());
  EXPECT_TRUE(*packet);
}

TEST_F(SupervisorLinkTest, DropsWhatHasNotBegunWhenItEnds) {
  std::promise<pid_t> listener;
  SupervisorRequests requests = Recorded();
  requests.abandon = [this, &listener](std::uint64_t) {
    listener.set_value(gettid());
    calls_.Add("abandoned");
  };
  // Under way until the link has stopped to listen.
  requests.cancel = [this, listener = listener.get_future().share()](std::uint64_t) {
    calls_.Add("cancelling");
    const auto thread = "/proc/self/task/" + std::to_string(listener.get());
    while (std::filesystem::exists(thread)) sched_yield();
    calls_.Add("cancelled");
  };
  auto link = std::make_unique<SupervisorLink>(worker_, std::move(requests));
  Say(CancelRequest{1});
  calls_.Await(1);
  Say(StacksWanted{});
  Say(AbandonRequest{1});
  calls_.Await(2);
  link.reset();
  EXPECT_THAT(calls_.Await(3), ::testing::ElementsAre("cancelling", "abandoned", "cancelled"));
}

TEST_F(SupervisorLinkTest, TakesNoSignalsButTheOneForStacks) {
  std::vector<sigset_t> masks(2);
  const auto record = [&](std::size_t thread) {
    pthread_sigmask(SIG_SETMASK, nullptr, &masks[thread]);
    calls_.Add("recorded");
  };
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  const SupervisorLink link(worker_, {.cancel = [&](std::uint64_t) { record(0); },
                                      .write_stacks = [] {},
                                      .abandon = [&](std::uint64_t) { record(1); }});
  Say(CancelRequest{1});
  Say(AbandonRequest{1});
  calls_.Await(2);
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(0, sigismember(&masks[1], SIGRTMIN + kStackSignal));
  EXPECT_EQ(1, sigismember(&masks[0], SIGRTMIN + kStackSignal));
  EXPECT_NE(link.listener_id(), gettid());
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGCHLD, SIGRTMIN + 3}) {
    for (const sigset_t& mask : masks) EXPECT_EQ(1, sigismember(&mask, signal)) << signal;
    EXPECT_EQ(sigismember(&before, signal), sigismember(&after, signal)) << signal;
  }
}

// Each in a process of its own, which must not share the supervisor's end with that of the test.
class SupervisorLinkDeathTest : public SupervisorLinkTest {};

TEST_F(SupervisorLinkDeathTest, EndsTheProcessWithTheSupervisor) {
  EXPECT_EXIT(
      {
        Connect();
        const SupervisorLink link(worker_, Recorded());
        supervisor_.Close();
        for (;;) pause();
      },
      ::testing::ExitedWithCode(EXIT_FAILURE), "");
}

TEST_F(SupervisorLinkDeathTest, EndsTheProcessThoughACallWaits) {
  EXPECT_EXIT(
      {
        Connect();
        SupervisorRequests requests = Recorded();
        requests.cancel = [this](std::uint64_t) {
          calls_.Add("waiting");
          for (;;) pause();
        };
        const SupervisorLink link(worker_, std::move(requests));
        Say(CancelRequest{1});
        calls_.Await(1);
        supervisor_.Close();
        for (;;) pause();
      },
      ::testing::ExitedWithCode(EXIT_FAILURE), "");
}

TEST_F(SupervisorLinkTest, LosesWhatCannotBeSent) {
  shutdown(worker_.fd(), SHUT_WR);  // as if the supervisor were gone, but this does not end us
  const SupervisorLink link(worker_, Recorded());
  link.Send(AcceptingStopped{});
  Say(AbandonRequest{1});
  EXPECT_THAT(calls_.Await(1), ::testing::ElementsAre("abandon 1"));
}

}  // namespace
}  // namespace gunid
