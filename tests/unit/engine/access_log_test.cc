#include "engine/access_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "base/log.h"
#include "engine/engine_fixture.h"
#include "support/file_contents.h"
#include "support/scoped_environment.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

using std::chrono::microseconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

constexpr std::string_view kDefault =
    R"(%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s")";

const std::string kAgent(99, 'a');

int CountLines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

class AccessLogTest : public testing::Test {
 protected:
  AccessLog Open(std::string_view format, const std::string& path) {
    auto parsed = ParseAccessLogFormat(format);
    LogFile file(STDOUT_FILENO);
    EXPECT_TRUE(parsed.ok());
    EXPECT_TRUE(file.Open(path));
    return {std::move(*parsed), std::move(file)};
  }
  std::string Line(std::string_view format, const AccessEntry& entry) {
    std::filesystem::remove(path_);
    AccessLog log = Open(format, path_);
    log.Add(entry);
    log.Flush();
    std::string line = FileContents(path_);
    EXPECT_THAT(line, EndsWith("\n"));
    line.pop_back();
    return line;
  }
  std::string Line(std::string_view format) { return Line(format, entry_); }

  TemporaryDirectory directory_;
  std::string path_ = directory_.File("access.log");
  RequestHead request_{.method = "GET",
                       .target = "/a%20b?x=1&y",
                       .headers = {{"Host", "test"},
                                   {"referer", "http://from/"},
                                   {"User-Agent", "probe/1"},
                                   {"Authorization", "Basic YW5uYTpzZWNyZXQ="}}};
  LoggedValues fields_{"field", std::nullopt};
  LoggedValues variables_{"variable"};
  AccessEntry entry_{.request = request_,
                     .client = "192.0.2.7",
                     .status = 207,
                     .body_bytes = 1234,
                     .duration = microseconds(3'012'045),
                     .response_fields = fields_,
                     .variables = variables_};
};

TEST_F(AccessLogTest, HasAllAtoms) {
  const std::pair<const char*, std::string> rows[] = {
      {"%(h)s", "192.0.2.7"},
      {"%(l)s", "-"},
      {"%(u)s", "anna"},
      {"%(r)s", "GET /a%20b?x=1&y HTTP/1.1"},
      {"%(m)s", "GET"},
      {"%(U)s", "/a b"},
      {"%(q)s", "x=1&y"},
      {"%(H)s", "HTTP/1.1"},
      {"%(s)s", "207"},
      {"%(B)s", "1234"},
      {"%(b)s", "1234"},
      {"%(f)s", "http://from/"},
      {"%(a)s", "probe/1"},
      {"%(T)s", "3"},
      {"%(M)s", "3012"},
      {"%(D)s", "3012045"},
      {"%(L)s", "3.012045"},
      {"%(p)s", "<" + std::to_string(getpid()) + ">"},
      {"%({HOST}i)s", "test"},
      {"%({X-None}i)s", "-"},
      {"%({X}o)s/%({Y}o)s", "field/-"},
      {"%({X}e)s", "variable"},
      {"%(x)s", "-"},
      {"100%% %(s)s", "100% 207"},
  };
  for (const auto& [format, text] : rows) EXPECT_EQ(Line(format), text) << format;
}

TEST_F(AccessLogTest, HasADashForWhatIsNotKnown) {
  const RequestHead nothing;
  const AccessEntry unknown{.request = nothing, .client = ""};
  for (const char* atom : {"h", "l", "u", "r", "m", "U", "q", "H",    "s",    "B",
                           "b", "f", "a", "T", "M", "D", "L", "{X}i", "{X}o", "{X}e"}) {
    EXPECT_EQ(Line("%(" + std::string(atom) + ")s", unknown), "-") << atom;
  }
}

TEST_F(AccessLogTest, KnowsNothingFromZero) {
  const RequestHead old{.method = "GET", .target = "/", .minor_version = 0};
  const AccessEntry entry{
      .request = old, .client = "h", .status = 200, .body_bytes = 0, .duration = Nanoseconds(999)};
  EXPECT_EQ(Line("%(B)s %(b)s %(D)s %(L)s [%(q)s] %(H)s %(r)s", entry),
            "0 0 0 0.000000 [] HTTP/1.0 GET / HTTP/1.0");
}

TEST_F(AccessLogTest, HasGunicornsDefaultLine) {
  EXPECT_THAT(Line(kDefault),
              MatchesRegex("192\\.0\\.2\\.7 - anna \\[../.../....:..:..:.. .....?\\] "
                           "\"GET /a%20b\\?x=1&y HTTP/1\\.1\" 207 1234 "
                           "\"http://from/\" \"probe/1\""));
}

TEST_F(AccessLogTest, EscapesWhatCouldForgeAField) {
  const std::pair<std::string, std::string> rows[] = {
      {"plain ~!'", "plain ~!'"},
      {"a\"b", "a\\\"b"},
      {"a\\\"b", "a\\\\\\\"b"},
      {"a\nb\r", "a\\x0Ab\\x0D"},
      {"\x1B[31m", "\\x1B[31m"},
      {std::string("\0", 1), "\\x00"},
      {"\x7F\x80\xFF", "\\x7F\\x80\\xFF"},
      {"\xC3\xBC", "\\xC3\\xBC"},
      {"a\tb", "a\\x09b"},
  };
  for (const auto& [value, text] : rows) {
    const RequestHead request{.method = "GET", .target = "/", .headers = {{"User-Agent", value}}};
    const LoggedValues values{value};
    const AccessEntry entry{
        .request = request, .client = "h", .response_fields = values, .variables = values};
    for (const char* atom : {"a", "{user-agent}i", "{x}o", "{x}e"}) {
      EXPECT_EQ(Line("%(" + std::string(atom) + ")s", entry), text) << atom;
    }
  }
  const RequestHead request{.method = "GET", .target = "/%0A%22%5c?\"", .headers = {}};
  const AccessEntry entry{.request = request, .client = "h"};
  EXPECT_EQ(Line("%(U)s %(q)s", entry), "/\\x0A\\\"\\\\ \\\"");
}

TEST(FormatLogTime, IsLocalTime) {
  constexpr std::time_t kTime = 1'786'968'367;  // 2026-08-17 12:06:07 UTC
  const std::pair<const char*, const char*> rows[] = {
      {"UTC0", "[17/Aug/2026:12:06:07 +0000]"},
      {"XXX-5:45", "[17/Aug/2026:17:51:07 +0545]"},
      {"XXX+3:30", "[17/Aug/2026:08:36:07 -0330]"},
      {"XXX+0:30", "[17/Aug/2026:11:36:07 -0030]"},
  };
  for (const auto& [zone, text] : rows) {
    ScopedEnvironment environment;
    environment.Set("TZ", zone);
    tzset();
    EXPECT_EQ(FormatLogTime(kTime), text) << zone;
  }
  tzset();
}

TEST_F(AccessLogTest, TheTimeIsNow) {
  const std::time_t before = std::time(nullptr);
  const std::string time = Line("%(t)s");
  bool found = false;
  for (std::time_t second = before; second <= std::time(nullptr); ++second) {
    found |= time == FormatLogTime(second);
  }
  EXPECT_TRUE(found) << time;
}

TEST_F(AccessLogTest, CollectsLinesUntilTheyAreFlushed) {
  AccessLog log = Open("%(s)s", path_);
  log.Add(entry_);
  log.Add(entry_);
  EXPECT_EQ(FileContents(path_), "");
  log.Flush();
  log.Flush();
  EXPECT_EQ(FileContents(path_), "207\n207\n");
}

TEST_F(AccessLogTest, WritesWholeLinesBeforeThereAreMoreThanAPipeTakes) {
  AccessLog log = Open("%(a)s", path_);
  const RequestHead request{.method = "GET", .target = "/", .headers = {{"User-Agent", kAgent}}};
  std::size_t written = 0;
  for (std::size_t i = 1; i <= 100; ++i) {
    log.Add({.request = request, .client = "h"});
    const std::size_t now = std::filesystem::file_size(path_);
    EXPECT_EQ(now % (kAgent.size() + 1), 0U);
    EXPECT_LE(now - written, static_cast<std::size_t>(PIPE_BUF));
    EXPECT_LE(i * (kAgent.size() + 1) - now, static_cast<std::size_t>(PIPE_BUF));
    written = now;
  }
  log.Flush();
  EXPECT_EQ(CountLines(FileContents(path_)), 100);
}

TEST_F(AccessLogTest, ALineThatIsLongerThanAPipeTakesIsCutThere) {
  const std::string agent(3 * PIPE_BUF, 'a');
  const RequestHead request{.method = "GET", .target = "/", .headers = {{"User-Agent", agent}}};
  const AccessEntry entry{.request = request, .client = "h"};
  EXPECT_EQ(Line("%(a)s", entry), agent) << "a file takes any";

  const std::string fifo = directory_.File("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const UniqueFd reader(open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  AccessLog log = Open("%(a)s", fifo);
  log.Add({.request = request_, .client = "h"});
  log.Add(entry);
  log.Add({.request = request_, .client = "h"});
  log.Flush();
  char text[4 * PIPE_BUF];
  const ssize_t got = read(reader.get(), text, sizeof text);
  ASSERT_GT(got, 0);
  EXPECT_EQ(std::string(text, static_cast<std::size_t>(got)),
            "probe/1\n" + std::string(PIPE_BUF - 1, 'a') + "\nprobe/1\n");
}

TEST_F(AccessLogTest, ReopenWritesWhatCameBeforeToTheOldFile) {
  AccessLog log = Open("%(s)s", path_);
  log.Add(entry_);
  std::filesystem::rename(path_, path_ + ".1");
  ASSERT_TRUE(log.Reopen());
  log.Add(entry_);
  log.Flush();
  EXPECT_EQ(FileContents(path_ + ".1"), "207\n");
  EXPECT_EQ(FileContents(path_), "207\n");
}

class UnwritableAccessLogTest : public AccessLogTest {
 protected:
  UnwritableAccessLogTest() { EXPECT_TRUE(OpenLog(errors_, "info")); }
  ~UnwritableAccessLogTest() override { EXPECT_TRUE(OpenLog("-", "info")); }

  const std::string errors_ = directory_.File("error.log");
};

TEST_F(UnwritableAccessLogTest, AFullDiskIsToldOnce) {
  AccessLog log = Open("%(s)s", "/dev/full");
  for (int i = 0; i < 5; ++i) {
    log.Add(entry_);
    log.Flush();
  }
  EXPECT_EQ(CountLines(FileContents(errors_)), 1);
  EXPECT_THAT(FileContents(errors_), HasSubstr("No space left on device"));
}

TEST_F(UnwritableAccessLogTest, AFullPipeLosesLinesAndSaysHowMany) {
  const std::string fifo = directory_.File("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const UniqueFd reader(open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  // The description is shared with whoever made the pipe: it may be non-blocking.
  const UniqueFd filler(open(fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  LogFile shared(filler.get());
  ASSERT_TRUE(shared.Open("-"));
  AccessLog full(*ParseAccessLogFormat("%(s)s"), std::move(shared));
  const std::string block(PIPE_BUF, 'x');
  while (write(filler.get(), block.data(), block.size()) > 0) {
  }
  full.Add(entry_);
  full.Add(entry_);
  full.Flush();
  full.Add(entry_);
  full.Flush();
  EXPECT_EQ(CountLines(FileContents(errors_)), 1) << FileContents(errors_);

  char drained[PIPE_BUF];
  while (read(reader.get(), drained, sizeof drained) > 0) {
  }
  full.Add(entry_);
  full.Flush();
  EXPECT_THAT(FileContents(errors_), HasSubstr("can be written again; 3 lines are lost"));
  EXPECT_EQ(read(reader.get(), drained, sizeof drained), 4);
}

TEST_F(UnwritableAccessLogTest, ATornLineIsEndedBeforeTheNext) {
  const rlimit limit{6, RLIM_INFINITY};
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  AccessLog log = Open("%(s)s", path_);
  setrlimit(RLIMIT_FSIZE, &limit);
  log.Add(entry_);
  log.Add(entry_);
  log.Flush();  // a line and a half
  setrlimit(RLIMIT_FSIZE, &before);
  log.Add(entry_);
  log.Flush();
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(FileContents(path_), "207\n20\n207\n");
  EXPECT_THAT(FileContents(errors_), HasSubstr("1 lines are lost"));
}

// What the engine writes.
class AccessLogOfEngineTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    LogFile file(STDOUT_FILENO);
    ASSERT_TRUE(file.Open(path_));
    access_log_.emplace(*ParseAccessLogFormat("%(r)s|%(s)s|%(B)s|%(D)s|%({Content-Type}o)s"),
                        std::move(file));
  }
  // Waits until the worker sleeps.
  std::vector<std::string> Lines() {
    WaitForTurn();
    WaitForTurn();
    std::vector<std::string> lines;
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_.File("access.log");
};

TEST_F(AccessLogOfEngineTest, ALineForEachRequest) {
  Start<InlineFake>(Echo);
  Client client(port_);
  client.Send(Get("/one") + Get("/two"));
  client.ReadResponse();
  client.ReadResponse();
  client.Send("HEAD /three HTTP/1.1\r\nHost: test\r\n\r\n");
  client.ReadResponse(false);
  EXPECT_THAT(Lines(), testing::ElementsAre(
                           MatchesRegex("GET /one HTTP/1\\.1\\|200\\|9\\|[0-9]+\\|text/plain"),
                           MatchesRegex("GET /two HTTP/1\\.1\\|200\\|9\\|[0-9]+\\|text/plain"),
                           MatchesRegex("HEAD /three HTTP/1\\.1\\|200\\|0\\|[0-9]+\\|text/plain")));
}

TEST_F(AccessLogOfEngineTest, AnswersOfTheServerItself) {
  options_.head_s = 0.1;
  Start<InlineFake>(Echo);
  for (const char* request : {"nonsense\r\n\r\n", "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                              "GET /late HTTP/1.1\r\n"}) {
    Client client(port_);
    client.Send(request);
    client.ReadToEnd();
  }
  const std::string type = "text/html; charset=utf-8";
  EXPECT_THAT(Lines(), testing::ElementsAre(
                           MatchesRegex("-\\|400\\|[0-9]+\\|-\\|" + type),
                           MatchesRegex("GET /x HTTP/1\\.1\\|400\\|[0-9]+\\|-\\|" + type),
                           MatchesRegex("GET /late HTTP/1\\.1\\|408\\|[0-9]+\\|-\\|" + type)));
}

TEST_F(AccessLogOfEngineTest, AnErrorHasItsOwnFields) {
  Start<InlineFake>([](Exchange& exchange) {
    exchange.SendHead(OkHead(), std::nullopt);
    exchange.SendError(500, "");
  });
  Client client(port_);
  client.Send(Get("/"));
  client.ReadToEnd();
  EXPECT_THAT(Lines(), testing::ElementsAre(EndsWith("|text/html; charset=utf-8")));
}

TEST_F(AccessLogOfEngineTest, AnAbandonedRequestIsLoggedOnceAndAtOnce) {
  Gate gate;
  Start<AloneFake>([&gate](Exchange& exchange) {
    gate.Arrive();
    exchange.SendHead(OkHead(), 0);
    exchange.Finish();
  });
  Client client(port_);
  client.Send(Get("/hangs"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  engine_->Abandon(1);
  client.ReadToEnd();
  EXPECT_THAT(Lines(), testing::ElementsAre(
                           MatchesRegex("GET /hangs HTTP/1\\.1\\|504\\|[0-9]+\\|[0-9]+\\|-")));
  gate.Open();
  Drain();
  Join();
  EXPECT_EQ(CountLines(FileContents(path_)), 1);
}

TEST_F(AccessLogOfEngineTest, LinesDoNotWaitForALongCall) {
  Gate gate;
  Start<AloneFake>([&gate](Exchange& exchange) {
    if (exchange.request().target == "/long") gate.Arrive();
    Echo(exchange);
  });
  Client client(port_);
  client.Send(Get("/short") + Get("/long"));  // in one turn
  ASSERT_TRUE(gate.WaitForArrivals(1));
  EXPECT_THAT(Lines(), testing::ElementsAre(StartsWith("GET /short")));
  gate.Open();
  client.ReadResponse();
  client.ReadResponse();
  EXPECT_EQ(Lines().size(), 2U);
}

TEST_F(AccessLogOfEngineTest, TheEndWritesWhatIsLeft) {
  Start<InlineFake>([this](Exchange& exchange) {
    Echo(exchange);
    engine_->Stop();
  });
  Client client(port_);
  client.Send(Get("/last"));
  Join();
  EXPECT_THAT(FileContents(path_), StartsWith("GET /last"));
}

TEST_F(AccessLogOfEngineTest, ACheckOfHealthIsNotLogged) {
  options_.health_check = "/up";
  Gate started;
  on_started_ = [&started] { started.Open(); };
  Start<InlineFake>(Echo);
  started.Arrive();
  EXPECT_TRUE(Lines().empty());
  Client client(port_);
  client.Send(Get("/"));
  client.ReadResponse();
  EXPECT_EQ(Lines().size(), 1U);
}

}  // namespace
}  // namespace gunid
