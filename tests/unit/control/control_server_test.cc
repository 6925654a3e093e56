#include "control/control_server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "control/raw_client.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

// Answers at once, or when the test lets the answer go.
class FakeSink : public CommandSink {
 public:
  void Post(Command command, std::function<void(CommandResult)> done) override {
    const std::lock_guard lock(mutex_);
    commands_.push_back(command);
    posted_.notify_all();
    if (hold_) {
      held_.push_back(std::move(done));
    } else {
      done(Result(command));
    }
  }

  static CommandResult Result(const Command& command) {
    const nlohmann::json document{{"id", static_cast<int>(command.id)},
                                  {"workers", command.workers},
                                  {"worker", command.worker},
                                  {"request", ToString(command.request)},
                                  {"after", command.after.value_or(0)}};
    return {200, document.dump()};
  }

  void Hold(bool hold) {
    const std::lock_guard lock(mutex_);
    hold_ = hold;
  }
  bool WaitForCommands(std::size_t count) {
    std::unique_lock lock(mutex_);
    return posted_.wait_for(lock, 10s, [&] { return commands_.size() >= count; });
  }
  std::vector<Command> commands() {
    const std::lock_guard lock(mutex_);
    return commands_;
  }
  std::vector<std::function<void(CommandResult)>> TakeHeld() {
    const std::lock_guard lock(mutex_);
    return std::exchange(held_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable posted_;
  bool hold_ = false;
  std::vector<Command> commands_;
  std::vector<std::function<void(CommandResult)>> held_;
};

class ControlServerTest : public testing::Test {
 protected:
  void SetUp() override {
    const Status started = server_.Start(path_);
    ASSERT_TRUE(started.ok()) << started.error().message;
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("app.sock");
  FakeSink sink_;
  ControlServer server_{sink_};
};

std::string ErrorCode(const RawResponse& response) {
  const auto document = nlohmann::json::parse(response.body, nullptr, false);
  if (!document.is_object() || !document.contains("error"))
    return "not an error document: " + response.body;
  return document["error"]["code"];
}

struct Example {
  const char* target;
  const char* body = "";
  Command command;
};

const Example kExamples[] = {
    {"/v1/status", "", {CommandId::kStatus}},
    {"/v1/stats", "", {CommandId::kStats}},
    {"/v1/workers", "", {CommandId::kWorkers}},
    {"/v1/requests", "", {CommandId::kRequests}},
    {"/v1/events", "", {CommandId::kEvents}},
    {"/v1/events?after=17", "", {CommandId::kEvents, 0, 0, {}, 17}},
    {"/v1/stack?worker=3", "", {CommandId::kStack, 0, 3}},
    {"/v1/scale", R"({"workers": 8})", {CommandId::kScale, 8}},
    {"/v1/reload", "", {CommandId::kReload}},
    {"/v1/ready", "", {CommandId::kReady}},
    {"/v1/crashes", "", {CommandId::kCrashes}},
    {"/v1/job?job=4", "", {.id = CommandId::kJob, .job = 4}},
    {"/v1/rollback", "", {CommandId::kRollback}},
    {"/v1/restart", "", {CommandId::kRestart}},
    {"/v1/upgrade", "", {CommandId::kUpgrade}},
    {"/v1/cancel", R"({"request": "3-1841"})", {CommandId::kCancel, 0, 0, {3, 1841}}},
    {"/v1/stop", "", {CommandId::kStop}},
};

TEST_F(ControlServerTest, EveryCommandReachesTheSupervisorAndItsResultTheClient) {
  std::set<CommandId> asked;
  for (const Example& example : kExamples) {
    const CommandRow& row = RowOf(example.command.id);
    const RawResponse response = Ask(path_, row.method, example.target, example.body);
    EXPECT_EQ(response.status, 200) << example.target;
    EXPECT_EQ(response.body, FakeSink::Result(example.command).body) << example.target;
    EXPECT_NE(response.head.find("Content-Type: application/json\r\n"), std::string::npos);
    asked.insert(row.id);
    EXPECT_EQ(sink_.commands().back().after.has_value(), example.command.after.has_value());
  }
  EXPECT_EQ(asked.size(), kCommands.size());
  EXPECT_EQ(sink_.commands().size(), std::size(kExamples));
}

TEST_F(ControlServerTest, WrongInputIsRefusedAndReachesNobody) {
  const struct {
    std::string request;
    int status;
    const char* code;
  } cases[] = {
      {RequestText("GET", "/v1/nothing", ""), 404, "not_found"},
      {RequestText("POST", "/v1/nothing", "{}"), 404, "not_found"},
      {RequestText("POST", "/v1/status", ""), 405, "method_not_allowed"},
      {RequestText("GET", "/v1/stop", ""), 405, "method_not_allowed"},
      {RequestText("DELETE", "/v1/workers", ""), 405, "method_not_allowed"},
      {RequestText("POST", "/v1/scale", ""), 400, "bad_argument"},
      {RequestText("POST", "/v1/scale", R"({"workers": 0})"), 400, "bad_argument"},
      {RequestText("POST", "/v1/scale", R"({"workers": "abc"})"), 400, "bad_argument"},
      {RequestText("POST", "/v1/reload", R"({"workers": 3})"), 400, "bad_argument"},
      {RequestText("POST", "/v1/scale?workers=8", ""), 400, "bad_argument"},
      {RequestText("POST", "/v1/stop?now", ""), 400, "bad_argument"},
      {RequestText("POST", "/v1/cancel", R"({"request": "3"})"), 400, "bad_argument"},
      {RequestText("GET", "/v1/status?x=1", ""), 400, "bad_argument"},
      {RequestText("GET", "/v1/stack", ""), 400, "bad_argument"},
      {RequestText("GET", "/v1/stack?worker=0", ""), 400, "bad_argument"},
      {RequestText("GET", "/v1/stack?worker=1&worker=1", ""), 400, "bad_argument"},
      {RequestText("GET", "/v1/stack?worker=%31", ""), 400, "bad_argument"},
      {RequestText("GET", "/v1/events?since=1", ""), 400, "bad_argument"},
      {RequestText("GET", "/v1/events?after=1&after=1", ""), 400, "bad_argument"},
      {"POST /v1/scale HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_argument"},
      {RequestText("POST", "/v1/scale", std::string(5000, ' ')), 413, "too_large"},
      {"GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n\r\n", 414, "too_large"},
      {"POST /v1/scale HTTP/1.1\r\nTransfer-Encoding: "
       "chunked\r\n\r\nd\r\n{\"workers\":8}\r\n0\r\n\r\n",
       411, "length_required"},
      {"POST /v1/scale HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx", 415,
       "unsupported_encoding"},
      {"nonsense\r\n\r\n", 400, "bad_request"},
      {"GET /v1/status HTTP/1.1\r\nRange: bytes=x-y\r\n\r\n", 416, "bad_request"},
      {"GET /%ff%0a%1b HTTP/1.1\r\n\r\n", 404, "not_found"},
  };
  for (const auto& test : cases) {
    const RawClient client(path_);
    ASSERT_TRUE(client.Send(test.request));
    const RawResponse response = SplitResponse(client.ReadAll());
    EXPECT_EQ(response.status, test.status) << test.request.substr(0, 200);
    EXPECT_EQ(ErrorCode(response), test.code) << test.request.substr(0, 200);
  }
  EXPECT_TRUE(sink_.commands().empty());
}

TEST_F(ControlServerTest, AWrongMethodIsToldTheRightOne) {
  EXPECT_NE(Ask(path_, "GET", "/v1/scale").head.find("Allow: POST\r\n"), std::string::npos);
  EXPECT_NE(Ask(path_, "POST", "/v1/status").head.find("Allow: GET\r\n"), std::string::npos);
}

TEST_F(ControlServerTest, TheIndexListsTheCommands) {
  const RawResponse response = Ask(path_, "GET", "/v1");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(nlohmann::json::parse(response.body)["commands"].size(), kCommands.size());
}

TEST_F(ControlServerTest, CurlWorks) {
  const std::string command = "curl -sS --max-time 10 --unix-socket '" + path_ +
                              "' -d '{\"workers\": 5}' http://localhost/v1/scale 2>&1";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  ASSERT_TRUE(pipe);
  std::array<char, 256> buffer{};
  const std::size_t size = fread(buffer.data(), 1, buffer.size(), pipe.get());
  EXPECT_EQ(std::string(buffer.data(), size), FakeSink::Result({CommandId::kScale, 5}).body);
}

TEST_F(ControlServerTest, TheSocketIsForTheOwnerOnly) {
  struct stat info;
  ASSERT_EQ(lstat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  EXPECT_EQ(server_.path(), path_);
}

TEST_F(ControlServerTest, AnotherUserIsRefusedEvenIfTheSocketLetsHimIn) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  ASSERT_EQ(chmod(directory_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(path_.c_str(), 0666), 0);
  constexpr uid_t kNobody = 65534;
  constexpr auto kUnchanged = static_cast<uid_t>(-1);
  RawResponse response;
  std::thread([&] {  // the system call, unlike seteuid(), changes this thread only
    if (syscall(SYS_setresuid, kUnchanged, kNobody, kUnchanged) == 0) {
      response = Ask(path_, "POST", "/v1/stop");
    }
  })
      .join();
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(ErrorCode(response), "forbidden");
  EXPECT_TRUE(sink_.commands().empty());
}

TEST_F(ControlServerTest, ASecondServerIsRefusedWhileTheFirstLives) {
  ControlServer second(sink_);
  EXPECT_FALSE(second.Start(path_).ok());
  server_.Stop();
  EXPECT_TRUE(second.Start(path_).ok());
  EXPECT_EQ(Ask(path_, "GET", "/v1/status").status, 200);
}

TEST_F(ControlServerTest, SlowClientsDoNotStopOthers) {
  std::vector<RawClient> slow;
  for (int i = 0; i < 4; ++i) slow.emplace_back(path_);
  const std::string request = RequestText("GET", "/v1/status", "");
  for (char byte : request.substr(0, 20)) {
    for (const RawClient& client : slow) ASSERT_TRUE(client.Send({&byte, 1}));
    const auto start = steady_clock::now();
    EXPECT_EQ(Ask(path_, "GET", "/v1/status").status, 200);
    EXPECT_LT(steady_clock::now() - start, 2s);
    std::this_thread::sleep_for(10ms);
  }
}

TEST_F(ControlServerTest, ASlowClientIsCutOffByADeadlineForTheWholeRequest) {
  const RawClient slow(path_);
  const auto start = steady_clock::now();
  while (steady_clock::now() - start < 8s && slow.Send("G")) std::this_thread::sleep_for(100ms);
  EXPECT_GT(steady_clock::now() - start, 2s);
  EXPECT_LT(steady_clock::now() - start, 7s);
}

TEST_F(ControlServerTest, AnEndlessRequestIsCutOff) {
  const RawClient client(path_);
  const std::string chunk(4096, 'x');
  std::size_t sent = 0;
  while (sent < 100'000'000 && client.Send(chunk)) sent += chunk.size();
  EXPECT_LT(sent, 2'000'000U);
}

TEST_F(ControlServerTest, ThirtyClientsAtOnceAreAllAnswered) {
  std::array<int, 30> statuses{};
  {
    std::vector<std::jthread> threads;
    for (int& status : statuses) {
      threads.emplace_back([&] { status = Ask(path_, "GET", "/v1/stats").status; });
    }
  }
  for (int status : statuses) EXPECT_EQ(status, 200);
}

TEST_F(ControlServerTest, WaitingCommandsLeaveThreadsForReads) {
  sink_.Hold(true);
  std::vector<RawClient> waiting;
  for (int i = 0; i < 6; ++i) {
    waiting.emplace_back(path_);
    ASSERT_TRUE(waiting.back().Send(RequestText("POST", "/v1/reload", "")));
  }
  ASSERT_TRUE(sink_.WaitForCommands(6));
  const RawResponse seventh = Ask(path_, "POST", "/v1/reload");
  EXPECT_EQ(seventh.status, 503);
  EXPECT_EQ(ErrorCode(seventh), "busy");

  sink_.Hold(false);
  EXPECT_EQ(Ask(path_, "GET", "/v1/status").status, 200);
  for (const auto& done : sink_.TakeHeld()) done({200, R"({"outcome":"done"})"});
  for (const RawClient& client : waiting) {
    EXPECT_EQ(SplitResponse(client.ReadAll()).body, R"({"outcome":"done"})");
  }
  EXPECT_EQ(Ask(path_, "POST", "/v1/reload").status, 200);
}

TEST_F(ControlServerTest, FollowersDoNotKeepOthersOutAndHaveABoundOfTheirOwn) {
  sink_.Hold(true);
  const std::string follow = RequestText("GET", "/v1/events?after=17", "");
  std::vector<RawClient> followers;
  for (int i = 0; i < 8; ++i) {
    followers.emplace_back(path_);
    ASSERT_TRUE(followers.back().Send(follow));
  }
  ASSERT_TRUE(sink_.WaitForCommands(8));
  const RawResponse ninth = Ask(path_, "GET", "/v1/events?after=17");
  EXPECT_EQ(ninth.status, 503);
  EXPECT_EQ(ErrorCode(ninth), "busy");

  std::vector<RawClient> operations;
  for (int i = 0; i < 6; ++i) {
    operations.emplace_back(path_);
    ASSERT_TRUE(operations.back().Send(RequestText("POST", "/v1/reload", "")));
  }
  ASSERT_TRUE(sink_.WaitForCommands(8 + 6));
  sink_.Hold(false);
  EXPECT_EQ(Ask(path_, "GET", "/v1/status").status, 200);
  EXPECT_EQ(Ask(path_, "GET", "/v1/events").status, 200) << "this one does not wait";

  for (const auto& done : sink_.TakeHeld()) done({200, R"({"events":[]})"});
  for (const RawClient& client : followers) {
    EXPECT_EQ(SplitResponse(client.ReadAll()).body, R"({"events":[]})");
  }
  EXPECT_EQ(Ask(path_, "GET", "/v1/events?after=17").status, 200);
}

TEST_F(ControlServerTest, AFollowerThatHangsUpFreesItsPlace) {
  sink_.Hold(true);
  const std::string follow = RequestText("GET", "/v1/events?after=17", "");
  std::vector<RawClient> followers;
  for (int i = 0; i < 8; ++i) {
    followers.emplace_back(path_);
    ASSERT_TRUE(followers.back().Send(follow));
  }
  ASSERT_TRUE(sink_.WaitForCommands(8));
  followers.clear();

  sink_.Hold(false);
  RawResponse next;
  const auto deadline = steady_clock::now() + 10s;
  do {
    next = Ask(path_, "GET", "/v1/events?after=17");
  } while (next.status == 503 && steady_clock::now() < deadline);
  EXPECT_EQ(next.status, 200);
  for (const auto& done : sink_.TakeHeld()) done({200, "{}"});  // nobody waits any more
}

TEST_F(ControlServerTest, AFollowerHasNoTimeLimit) {
  sink_.Hold(true);
  const RawClient follower(path_);
  ASSERT_TRUE(follower.Send(RequestText("GET", "/v1/events?after=17", "")));
  const RawClient reader(path_);
  ASSERT_TRUE(reader.Send(RequestText("GET", "/v1/events", "")));
  ASSERT_TRUE(sink_.WaitForCommands(2));
  EXPECT_EQ(ErrorCode(SplitResponse(reader.ReadAll())), "no_answer");  // after seconds
  for (const auto& done : sink_.TakeHeld()) done({200, R"({"events":[]})"});
  EXPECT_EQ(SplitResponse(follower.ReadAll()).body, R"({"events":[]})");
}

TEST_F(ControlServerTest, AClientThatHangsUpFreesItsThread) {
  sink_.Hold(true);
  for (std::size_t round = 1; round <= 3; ++round) {
    std::vector<RawClient> waiting;
    for (int i = 0; i < 6; ++i) {
      waiting.emplace_back(path_);
      ASSERT_TRUE(waiting.back().Send(RequestText("POST", "/v1/reload", "")));
    }
    ASSERT_TRUE(sink_.WaitForCommands(6 * round)) << "round " << round;
    waiting.clear();
    std::this_thread::sleep_for(500ms);
  }
  for (const auto& done : sink_.TakeHeld()) done({200, "{}"});  // nobody waits any more
}

TEST_F(ControlServerTest, AQuickCommandWithoutAnswerEndsWithAnErrorAndALateAnswerDoesNoHarm) {
  sink_.Hold(true);
  const auto start = steady_clock::now();
  const RawResponse response = Ask(path_, "GET", "/v1/status");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(ErrorCode(response), "no_answer");
  EXPECT_GT(steady_clock::now() - start, 4s);
  for (const auto& done : sink_.TakeHeld()) done({200, "{}"});
}

TEST_F(ControlServerTest, StopAnswersWhatStillWaits) {
  sink_.Hold(true);
  const RawClient waiting(path_);
  ASSERT_TRUE(waiting.Send(RequestText("POST", "/v1/scale", R"({"workers": 3})")));
  const RawClient silent(path_);
  ASSERT_TRUE(sink_.WaitForCommands(1));

  const auto start = steady_clock::now();
  server_.Stop();
  EXPECT_LT(steady_clock::now() - start, 2s);
  const RawResponse response = SplitResponse(waiting.ReadAll());
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(ErrorCode(response), "stopping");
  EXPECT_EQ(ProbeControlSocket(path_), ENOENT);
  server_.Stop();
  for (const auto& done : sink_.TakeHeld()) done({200, "{}"});
}

TEST_F(ControlServerTest, AResultThatIsThereBeforeStopIsDelivered) {
  sink_.Hold(true);
  const RawClient client(path_);
  ASSERT_TRUE(client.Send(RequestText("POST", "/v1/stop", "")));
  ASSERT_TRUE(sink_.WaitForCommands(1));
  for (const auto& done : sink_.TakeHeld()) done({200, R"({"outcome":"done"})"});
  server_.Stop();
  EXPECT_EQ(SplitResponse(client.ReadAll()).body, R"({"outcome":"done"})");
}

TEST_F(ControlServerTest, ItCanStartAgain) {
  server_.Stop();
  ASSERT_TRUE(server_.Start(path_).ok());
  EXPECT_EQ(Ask(path_, "GET", "/v1/status").status, 200);
}

}  // namespace
}  // namespace gunid
