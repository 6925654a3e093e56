#include "engine/health_check.h"

#include <algorithm>

#include "engine/engine_fixture.h"

namespace gunid {
namespace {

TEST(JudgeHealthTest, SuccessAndRedirectionAreHealthy) {
  EXPECT_TRUE(JudgeHealth("/up", "HTTP/1.1 200 OK\r\n\r\n").ok());
  EXPECT_TRUE(JudgeHealth("/up", "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n").ok());
  EXPECT_TRUE(JudgeHealth("/up", "HTTP/1.1 301 Moved Permanently\r\n\r\n").ok());
}

TEST(JudgeHealthTest, AnotherStatusIsNamedAndItsBodyIsTheDetail) {
  const Status status =
      JudgeHealth("/up?deep=1", "HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\nno database");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "health check GET /up?deep=1: 503 Service Unavailable");
  EXPECT_EQ(status.error().detail, "no database");
  EXPECT_EQ(status.error().exit_code, 3);
}

TEST(JudgeHealthTest, LongBodiesAreCut) {
  const Status status = JudgeHealth("/", "HTTP/1.1 500 Oh\r\n\r\n" + std::string(1'000'000, 'x'));
  ASSERT_FALSE(status.ok());
  EXPECT_LE(status.error().detail.size(), 4096U);
  EXPECT_FALSE(status.error().detail.empty());
}

TEST(JudgeHealthTest, WhatIsNoAnswerIsUnhealthy) {
  for (const std::string answer : {"", "HTTP", "HTTP/1.1", "HTTP/1.1 ", "200 OK\r\n\r\n", "\r\n"}) {
    EXPECT_FALSE(JudgeHealth("/", answer).ok()) << answer;
  }
  EXPECT_EQ(JudgeHealth("/", "").error().message,
            "health check GET /: the connection was closed without an answer");
}

class EngineHealthTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    options_.health_check = "/up";
    on_started_ = [this] { outcome_.Open(); };
    on_health_check_failed_ = [this](const Error& error) {
      failure_ = error;
      outcome_.Open();
    };
    on_request_done_ = [this](std::uint64_t count) { counted_ = count; };
  }

  template <class T, class... Arguments>
  void ServesOnlyAfterTheCheck(Arguments... arguments) {
    Gate checking;
    std::atomic<int> calls{0};
    Start<T>(
        [&](Exchange& exchange) {
          if (calls.fetch_add(1) == 0) checking.Arrive();
          Echo(exchange);
        },
        arguments...);
    ASSERT_TRUE(checking.WaitForArrivals(1));
    Client client(port_);
    client.Send(Get("/client"));
    EXPECT_EQ(calls, 1);
    checking.Open();
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->body, "GET /client ");
    outcome_.Arrive();
    WaitForTurn();
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(counted_, 1U) << "the check is no client's request";
    EXPECT_FALSE(failure_);
  }

  Gate outcome_;
  std::optional<Error> failure_;
  std::atomic<std::uint64_t> counted_{0};
};

TEST_F(EngineHealthTest, InlineServesOnlyAfterTheCheck) {
  ServesOnlyAfterTheCheck<InlineFake>();
}

TEST_F(EngineHealthTest, AloneServesOnlyAfterTheCheck) {
  ServesOnlyAfterTheCheck<AloneFake>();
}

TEST_F(EngineHealthTest, ThreadedServesOnlyAfterTheCheck) {
  ServesOnlyAfterTheCheck<ThreadedFake>(4);
}

TEST_F(EngineHealthTest, TheCheckIsARequestForThePath) {
  std::string target;
  bool keep = true;
  Start<SyncFake>([&](Exchange& exchange) {
    target = exchange.request().target;
    keep = exchange.request().keep_alive;
    Echo(exchange);
  });
  outcome_.Arrive();
  EXPECT_EQ(target, "/up");
  EXPECT_FALSE(keep);
}

TEST_F(EngineHealthTest, ALargeAnswerIsReadToItsEnd) {
  Start<InlineFake>([](Exchange& exchange) {
    const std::string large(8 << 20, 'x');
    exchange.SendHead(OkHead(), large.size());
    exchange.Write(large);
    exchange.Finish();
  });
  outcome_.Arrive();
  EXPECT_FALSE(failure_);
}

TEST_F(EngineHealthTest, AFailureStopsTheEngineBeforeItHasStarted) {
  bool started = false;
  on_started_ = [&] { started = true; };
  Start<AloneFake>([](Exchange& exchange) { exchange.SendError(503, "no database"); });
  Join();
  ASSERT_TRUE(failure_);
  EXPECT_EQ(failure_->message, "health check GET /up: 503 Service Unavailable");
  EXPECT_NE(failure_->detail.find("no database"), std::string::npos);
  EXPECT_FALSE(started);
  EXPECT_EQ(counted_, 0U);
}

TEST_F(EngineHealthTest, ADrainDuringTheCheckEndsWithoutAVerdict) {
  bool started = false;
  on_started_ = [&] { started = true; };
  Gate checking;
  Start<AloneFake>([&](Exchange& exchange) {
    checking.Arrive();
    exchange.SendError(503, "");
  });
  ASSERT_TRUE(checking.WaitForArrivals(1));
  Drain();
  checking.Open();
  Join();
  EXPECT_FALSE(started);
  EXPECT_FALSE(failure_);
}

}  // namespace
}  // namespace gunid
