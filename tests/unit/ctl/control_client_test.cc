#include "ctl/control_client.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>

#include "ctl/fake_server.h"
#include "gunid/exit_codes.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

class SendCommandTest : public testing::Test {
 protected:
  Reply Send(const Command& command, std::optional<double> timeout_s) {
    for (const CommandRow& row : kCommands) {
      if (row.id == command.id) return SendCommand(path_, row, command, timeout_s);
    }
    throw std::invalid_argument("no such command");
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("app.sock");
};

std::string Answer(const std::string& status, const std::string& body) {
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}

TEST_F(SendCommandTest, GetsWhatIsRead) {
  FakeServer server(path_, Answer("200 OK", R"({"state": "serving"})"));
  ASSERT_TRUE(server.listening());
  const Reply reply = Send({CommandId::kStatus}, 5);
  EXPECT_EQ(reply.outcome, Reply::Outcome::kAnswered);
  EXPECT_EQ(reply.http_status, 200);
  EXPECT_EQ(reply.body, R"({"state": "serving"})");
  EXPECT_TRUE(server.request().starts_with("GET /v1/status HTTP/1.1\r\n")) << server.request();
}

TEST_F(SendCommandTest, WritesTheArgumentWhereItBelongs) {
  const struct {
    Command command;
    std::string first_line;
    std::string body;
  } cases[] = {
      {{CommandId::kScale, 8}, "POST /v1/scale HTTP/1.1", R"({"workers":8})"},
      {{CommandId::kCancel, 0, 0, {3, 1841}},
       "POST /v1/cancel HTTP/1.1",
       R"({"request":"3-1841"})"},
      {{CommandId::kReload}, "POST /v1/reload HTTP/1.1", ""},
      {{CommandId::kStack, 0, 3}, "GET /v1/stack?worker=3 HTTP/1.1", ""},
      {{CommandId::kEvents}, "GET /v1/events HTTP/1.1", ""},
      {{CommandId::kEvents, 0, 0, {}, 0}, "GET /v1/events?after=0 HTTP/1.1", ""},
      {{CommandId::kEvents, 0, 0, {}, 18446744073709551615U},
       "GET /v1/events?after=18446744073709551615 HTTP/1.1",
       ""},
  };
  for (const auto& test : cases) {
    FakeServer server(path_, Answer("200 OK", "{}"));
    EXPECT_EQ(Send(test.command, std::nullopt).outcome, Reply::Outcome::kAnswered);
    EXPECT_TRUE(server.request().starts_with(test.first_line + "\r\n")) << server.request();
    EXPECT_TRUE(server.request().ends_with("\r\n\r\n" + test.body)) << server.request();
    std::filesystem::remove(path_);
  }
}

TEST_F(SendCommandTest, AnErrorIsAnAnswerToo) {
  FakeServer server(path_, Answer("409 Conflict", R"({"error": {}})"));
  const Reply reply = Send({CommandId::kReload}, std::nullopt);
  EXPECT_EQ(reply.outcome, Reply::Outcome::kAnswered);
  EXPECT_EQ(reply.http_status, 409);
  EXPECT_EQ(reply.body, R"({"error": {}})");
}

TEST_F(SendCommandTest, SaysWhyItCannotConnect) {
  const Reply reply = Send({CommandId::kStatus}, 5);
  EXPECT_EQ(reply.outcome, Reply::Outcome::kCannotConnect);
  EXPECT_EQ(reply.error, "cannot connect to gunid at " + path_ + ": No such file or directory");
}

TEST_F(SendCommandTest, GivesUpAfterTheTimeout) {
  FakeServer server(path_, "silence");
  const auto start = std::chrono::steady_clock::now();
  const Reply reply = Send({CommandId::kStop}, 0.2345);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(reply.outcome, Reply::Outcome::kTimedOut);
  EXPECT_EQ(reply.error, "no answer to stop in time");
  EXPECT_GE(elapsed.count(), 0.2345);
  EXPECT_LT(elapsed.count(), 2);
}

TEST_F(SendCommandTest, NoticesAServerThatDies) {
  for (const char* answer :
       {"", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", "nonsense\r\n\r\n"}) {
    FakeServer server(path_, answer);
    const Reply reply = Send({CommandId::kStop}, std::nullopt);
    EXPECT_EQ(reply.outcome, Reply::Outcome::kBroken) << answer;
    EXPECT_EQ(reply.error, "the server closed the connection without an answer to stop");
    std::filesystem::remove(path_);
  }
}

TEST(ExitCode, TellsWhatBecameOfTheCommand) {
  const struct {
    Reply reply;
    int exit_code;
  } cases[] = {
      {{.outcome = Reply::Outcome::kAnswered, .http_status = 200}, ctl_exit::kDone},
      {{.outcome = Reply::Outcome::kAnswered, .http_status = 409}, ctl_exit::kFailed},
      {{.outcome = Reply::Outcome::kBroken}, ctl_exit::kFailed},
      {{.outcome = Reply::Outcome::kCannotConnect}, ctl_exit::kCannotConnect},
      {{.outcome = Reply::Outcome::kTimedOut}, ctl_exit::kTimedOut},
  };
  for (const auto& test : cases) EXPECT_EQ(ExitCode(test.reply), test.exit_code);
}

}  // namespace
}  // namespace gunid
