#include "ctl/control_client.h"

#include <gtest/gtest.h>

#include <chrono>

#include "ctl/fake_server.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

class SendCommandTest : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("app.sock");
};

const CommandRow& Row(CommandId id) {
  for (const CommandRow& row : kCommands) {
    if (row.id == id) return row;
  }
  throw std::invalid_argument("no such command");
}

std::string Answer(const std::string& status, const std::string& body) {
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}

TEST_F(SendCommandTest, GetsWhatIsRead) {
  FakeServer server(path_, Answer("200 OK", R"({"state": "serving"})"));
  ASSERT_TRUE(server.listening());
  const Reply reply = SendCommand(path_, Row(CommandId::kStatus), 0, 5);
  EXPECT_EQ(reply.outcome, Reply::Outcome::kAnswered);
  EXPECT_EQ(reply.http_status, 200);
  EXPECT_EQ(reply.body, R"({"state": "serving"})");
  EXPECT_TRUE(server.request().starts_with("GET /v1/status HTTP/1.1\r\n")) << server.request();
}

TEST_F(SendCommandTest, PostsTheArgument) {
  FakeServer server(path_, Answer("200 OK", "{}"));
  EXPECT_EQ(SendCommand(path_, Row(CommandId::kScale), 8, std::nullopt).outcome,
            Reply::Outcome::kAnswered);
  EXPECT_TRUE(server.request().starts_with("POST /v1/scale HTTP/1.1\r\n")) << server.request();
  EXPECT_TRUE(server.request().ends_with("\r\n\r\n{\"workers\":8}")) << server.request();
}

TEST_F(SendCommandTest, AnErrorIsAnAnswerToo) {
  FakeServer server(path_, Answer("409 Conflict", R"({"error": {}})"));
  const Reply reply = SendCommand(path_, Row(CommandId::kReload), 0, std::nullopt);
  EXPECT_EQ(reply.outcome, Reply::Outcome::kAnswered);
  EXPECT_EQ(reply.http_status, 409);
  EXPECT_EQ(reply.body, R"({"error": {}})");
}

TEST_F(SendCommandTest, SaysWhyItCannotConnect) {
  const Reply reply = SendCommand(path_, Row(CommandId::kStatus), 0, 5);
  EXPECT_EQ(reply.outcome, Reply::Outcome::kCannotConnect);
  EXPECT_EQ(reply.error, "cannot connect to gunid at " + path_ + ": No such file or directory");
}

TEST_F(SendCommandTest, GivesUpAfterTheTimeout) {
  FakeServer server(path_, "silence");
  const auto start = std::chrono::steady_clock::now();
  const Reply reply = SendCommand(path_, Row(CommandId::kStop), 0, 0.2345);
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
    const Reply reply = SendCommand(path_, Row(CommandId::kStop), 0, std::nullopt);
    EXPECT_EQ(reply.outcome, Reply::Outcome::kBroken) << answer;
    EXPECT_EQ(reply.error, "the server closed the connection without an answer to stop");
    std::filesystem::remove(path_);
  }
}

}  // namespace
}  // namespace gunid
