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
  void WorkerHangs(const WorkerHandle& /*worker*/) override {}
  void WorkerFailedToBoot(const WorkerHandle& /*worker*/, const BootFailure& /*failure*/) override {
  }
  void WorkerCrashed(const WorkerHandle& /*worker*/, const std::string& /*exit*/) override {}
  void WorkerGone(const WorkerHandle& /*worker*/, const std::string& /*exit*/) override {}
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
  ReportSource Source() { return {facts, pool, scoreboard, statistics, state_of, clock.Now()}; }

  std::function<RequestState(RequestId)> state_of = [](RequestId) {
    return RequestState::kRunning;
  };
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
                  {"last_error", ""},
                  {"progress", ""},
                  {"kept_generations", json::array()},
                  {"next_start_s", 0.0},
                  {"draining", json::array()}}));
}

TEST_F(ReportTest, WorkersComeFromPoolAndScoreboard) {
  SlotWriter slot(scoreboard.slot(0));
  slot.Heartbeat(static_cast<std::uint64_t>(Nanoseconds(seconds(998)).count()));
  slot.BeginRequest({"GET", "/", "", 1, 1});
  const MemorySamples samples{{getpid(), {.rss = 4000, .pss = 3000, .unshared = 2000}}};
  ReportSource source = Source();
  source.memory = &samples;
  const json workers = json::parse(WorkersDocument(source).body).at("workers");
  ASSERT_EQ(workers.size(), 2U);
  EXPECT_EQ(workers[0]["pid"], getpid());
  EXPECT_EQ(workers[0]["state"], "ready");
  EXPECT_EQ(workers[0]["requests"], 1);
  EXPECT_EQ(workers[0]["in_flight"], 1);
  EXPECT_EQ(workers[0]["heartbeat_age_s"], 2.0);
  EXPECT_EQ(workers[0]["rss_bytes"], 4000);
  EXPECT_EQ(workers[0]["pss_bytes"], 3000);
  EXPECT_EQ(workers[0]["private_bytes"], 2000);
  const json stats = json::parse(StatsDocument(source).body);
  EXPECT_EQ(stats["rss_bytes"], 4000);
  EXPECT_EQ(stats["pss_bytes"], 3000);
  EXPECT_EQ(stats["memory_saved_bytes"], 1000);
  EXPECT_EQ(workers[1]["state"], "spawning");
  EXPECT_EQ(workers[1]["rss_bytes"], 0);
}

TEST_F(ReportTest, TotalsAddWorkersThatAreGone) {
  SlotWriter slot(scoreboard.slot(0));
  const int entry = slot.BeginRequest({"GET", "/", "", 1, 1});
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

TEST_F(ReportTest, StatusTellsWhatADrainWaitsFor) {
  SlotWriter(scoreboard.slot(0)).BeginRequest({"GET", "/slow", "", 17, 998'000'000'000});
  pool.Shutdown(/*quick=*/false);
  const json draining = json::parse(StatusDocument(Source()).body).at("draining");
  ASSERT_EQ(draining.size(), 2U) << "one of them has no process yet";
  EXPECT_EQ(draining[0]["worker"], 1);
  EXPECT_EQ(draining[0]["reason"], "shutdown");
  EXPECT_EQ(draining[0]["requests"][0]["id"], "1-17");
  EXPECT_EQ(draining[0]["requests"][0]["age_s"], 2.0);
}

TEST_F(ReportTest, AJobIsARunningOneUntilItHasEnded) {
  Job job{.id = 4, .command = CommandId::kReload, .started = clock.Now(), .started_at = 0};
  const CommandResult running = JobDocument(job, "importing", clock.Now() + seconds(2), 202);
  EXPECT_EQ(running.http_status, 202);
  EXPECT_EQ(json::parse(running.body), (json{{"id", 4},
                                             {"operation", "reload"},
                                             {"state", "running"},
                                             {"progress", "importing"},
                                             {"started_at", "1970-01-01T00:00:00Z"},
                                             {"duration_s", 2.0},
                                             {"message", ""},
                                             {"detail", ""}}));
  job.state = JobState::kFailed;
  job.ended = clock.Now() + seconds(3);
  job.message = "no such module";
  const json failed = json::parse(JobDocument(job, "of another", clock.Now() + seconds(9)).body);
  EXPECT_EQ(failed["state"], "failed");
  EXPECT_EQ(failed["progress"], "");
  EXPECT_EQ(failed["duration_s"], 3.0);
  EXPECT_EQ(failed["message"], "no such module");
}

TEST_F(ReportTest, RequestsAreThoseOfAllWorkersTheOldestFirst) {
  const auto at = [](int second) {
    return static_cast<std::uint64_t>(Nanoseconds(seconds(second)).count());
  };
  SlotWriter first(scoreboard.slot(0));
  SlotWriter second(scoreboard.slot(1));
  first.BeginRequest({"GET", "/young", "192.0.2.7", 17, at(999)});
  first.BeginRequest({"POST", "/a b", "", 18, at(990)});
  second.BeginRequest({"GET", "", "", 3, at(995)});
  state_of = [](RequestId id) {
    return id == RequestId{1, 18} ? RequestState::kCancelled : RequestState::kRunning;
  };
  const json requests = json::parse(RequestsDocument(Source()).body).at("requests");
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[0], (json{{"id", "1-18"},
                               {"worker", 1},
                               {"pid", getpid()},
                               {"thread", gettid()},
                               {"method", "POST"},
                               {"path", "/a b"},
                               {"client", ""},
                               {"age_s", 10.0},
                               {"state", "cancelled"}}));
  EXPECT_EQ(requests[1]["id"], "2-3");
  EXPECT_EQ(requests[1]["path"], "");
  EXPECT_EQ(requests[2]["id"], "1-17");
  EXPECT_EQ(requests[2]["client"], "192.0.2.7");
  EXPECT_EQ(requests[2]["state"], "running");
}

class StacksDocumentTest : public testing::Test {
 protected:
  json Document(const std::string& text) {
    const CommandResult result = StacksDocument(worker, {.text = text}, scoreboard);
    EXPECT_EQ(result.http_status, 200);
    return json::parse(result.body);
  }

  Scoreboard scoreboard = std::move(*Scoreboard::Create(1));
  SlotWriter slot{scoreboard.slot(0)};
  WorkerHandle worker{.id = 3, .slot = 0, .pid = 4711};
};

TEST_F(StacksDocumentTest, NamesTheRequestOfAThread) {
  slot.BeginRequest({"GET", "/", "", 17, 1});
  char own[64];
  std::snprintf(own, sizeof own, "Thread 0x%016lx", pthread_self());
  const json document = Document(
      "Thread 0x0000000000000001 (most recent call first):\n"
      "  File \"caf\xe9.py\", line 1 in a\n\n" +
      std::string(own) +
      " (most recent call first):\n"
      "  File \"b.py\", line 2 in b\n");
  EXPECT_EQ(document["worker"], 3);
  EXPECT_EQ(document["pid"], 4711);
  ASSERT_EQ(document["threads"].size(), 2U);
  EXPECT_EQ(document["threads"][0]["request"], "");
  EXPECT_EQ(document["threads"][1]["thread"], own);
  EXPECT_EQ(document["threads"][1]["request"], "3-17");
  EXPECT_EQ(document["threads"][1]["stack"], "  File \"b.py\", line 2 in b");
}

TEST_F(StacksDocumentTest, NamesTheRequestsOfGreenlets) {
  slot.BeginRequest({"GET", "/", "", 17, 1});
  slot.BeginRequest({"GET", "/", "", 18, 1});
  const json document = Document(
      "Greenlet 0x1 (request 18) (most recent call first):\n"
      "Greenlet 0x2 (request 17) (most recent call first):\n"
      "Greenlet 0x3 (request 99) (most recent call first):\n");
  ASSERT_EQ(document["threads"].size(), 3U);
  EXPECT_EQ(document["threads"][0]["request"], "3-18");
  EXPECT_EQ(document["threads"][1]["request"], "3-17");
  EXPECT_EQ(document["threads"][2]["request"], "") << "it has ended";
}

TEST_F(StacksDocumentTest, WhereSeveralRequestsShareAThreadItIsNobodys) {
  slot.BeginRequest({"GET", "/", "", 17, 1});
  slot.BeginRequest({"GET", "/", "", 18, 1});
  char own[64];
  std::snprintf(own, sizeof own, "Thread 0x%016lx", pthread_self());
  const json document = Document(std::string(own) + " (most recent call first):\n");
  ASSERT_EQ(document["threads"].size(), 1U);
  EXPECT_EQ(document["threads"][0]["request"], "");
}

TEST_F(StacksDocumentTest, NoStackIsAnError) {
  const CommandResult result =
      StacksDocument(worker, {.missing = "the process is gone"}, scoreboard);
  EXPECT_EQ(result.http_status, 500);
  EXPECT_EQ(json::parse(result.body).at("error").at("message"),
            "worker 3 has no Python stack: the process is gone");
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
