#include "supervisor/report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "gunid/version.h"

namespace gunid {
namespace {

using nlohmann::json;
using std::chrono::seconds;

class FakeClock : public Clock {
 public:
  [[nodiscard]] TimePoint Now() const override { return TimePoint(seconds(1000)); }
};

class IdleSpawner : public Spawner {
 public:
  [[nodiscard]] bool CanFork(int /*generation*/) const override { return true; }
  void Fork(const WorkerHandle& /*worker*/) override {}
  void SendGo(const WorkerHandle& /*worker*/) override {}
  void SendSignal(const WorkerHandle& /*worker*/, int /*signal*/) override {}
};

class IdleObserver : public PoolObserver {
 public:
  void WorkerBecameReady(const WorkerHandle& /*worker*/) override {}
  void WorkerFailedToBoot(const WorkerHandle& /*worker*/, const BootFailure& /*failure*/) override {
  }
  void WorkerCrashed(const WorkerHandle& /*worker*/, const std::string& /*exit*/) override {}
  void WorkerGone(const WorkerHandle& /*worker*/) override {}
};

class ReportTest : public testing::Test {
 protected:
  ReportTest() {
    facts = {.state = "serving",
             .name = "demo",
             .app = "app:app",
             .control_socket = "/run/gunid/demo.sock",
             .started = TimePoint(seconds(940)),
             .started_at = 0,
             .listeners = {{"http://127.0.0.1:8000", 7}}};
    pool.SetWanted(2);
    pool.RollTo(1);
    pool.Forked(1, getpid());
    pool.Ready(1);
  }
  ReportSource Source() { return {facts, pool, scoreboard, statistics, clock.Now()}; }

  FakeClock clock;
  IdleSpawner spawner;
  IdleObserver observer;
  WorkerPool pool{clock, spawner, observer, 4};
  Scoreboard scoreboard = std::move(*Scoreboard::Create(4));
  Statistics statistics;
  ServerFacts facts;
};

TEST_F(ReportTest, Status) {
  EXPECT_EQ(json::parse(StatusDocument(Source()).body),
            (json{{"state", "serving"},
                  {"version", GUNID_VERSION},
                  {"pid", getpid()},
                  {"name", "demo"},
                  {"app", "app:app"},
                  {"generation", 0},
                  {"started_at", "1970-01-01T00:00:00Z"},
                  {"uptime_s", 60.0},
                  {"workers_wanted", 2},
                  {"workers_ready", 1},
                  {"listeners", {{{"address", "http://127.0.0.1:8000"}, {"fd", 7}}}},
                  {"control_socket", "/run/gunid/demo.sock"},
                  {"last_error", ""}}));
}

TEST_F(ReportTest, WorkersComeFromPoolAndScoreboard) {
  SlotWriter slot(scoreboard.slot(0));
  slot.Heartbeat(static_cast<std::uint64_t>(Nanoseconds(seconds(998)).count()));
  slot.BeginRequest("GET", "/", 1);
  const json workers = json::parse(WorkersDocument(Source()).body).at("workers");
  ASSERT_EQ(workers.size(), 2U);
  EXPECT_EQ(workers[0]["pid"], getpid());
  EXPECT_EQ(workers[0]["state"], "ready");
  EXPECT_EQ(workers[0]["requests"], 1);
  EXPECT_EQ(workers[0]["in_flight"], 1);
  EXPECT_EQ(workers[0]["heartbeat_age_s"], 2.0);
  EXPECT_GT(workers[0]["rss_bytes"], 0);
  EXPECT_EQ(workers[1]["state"], "spawning");
  EXPECT_EQ(workers[1]["rss_bytes"], 0);
}

TEST_F(ReportTest, TotalsAddWorkersThatAreGone) {
  SlotWriter slot(scoreboard.slot(0));
  const int entry = slot.BeginRequest("GET", "/", 1);
  slot.EndRequest(entry, 500, 10);
  statistics.of_gone_workers = {
      .requests = 5, .server_errors = 1, .bytes_sent = 100, .connections = 2};
  statistics.reloads = 3;
  const json stats = json::parse(StatsDocument(Source()).body);
  EXPECT_EQ(stats["totals"]["requests"], 6);
  EXPECT_EQ(stats["totals"]["server_errors"], 2);
  EXPECT_EQ(stats["totals"]["bytes_sent"], 110);
  EXPECT_EQ(stats["totals"]["reloads"], 3);
  EXPECT_EQ(stats["in_flight"], 0);
}

TEST_F(ReportTest, BytesThatAreNotUtf8DoNotBreakADocument) {
  facts.app = "caf\xe9:app";
  EXPECT_TRUE(json::accept(StatusDocument(Source()).body));
}

TEST(WorkersAreReady, SpeaksEnglish) {
  EXPECT_EQ(WorkersAreReady(1), "1 worker is ready");
  EXPECT_EQ(WorkersAreReady(8), "8 workers are ready");
}

}  // namespace
}  // namespace gunid
