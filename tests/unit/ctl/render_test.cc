#include "ctl/render.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "gunid/reports.h"

namespace gunid {
namespace {

using nlohmann::json;

const std::vector<WorkerReport> kWorkers = {
    {.id = 1,
     .pid = 4711,
     .generation = 1,
     .state = "ready",
     .uptime_s = 3725,
     .requests = 1234567,
     .in_flight = 2,
     .heartbeat_age_s = 0.02,
     .rss_bytes = 53 * 1024 * 1024,
     .pss_bytes = 13 * 1024 * 1024},
    {.id = 12, .pid = 0, .generation = 2, .state = "spawning", .uptime_s = 0.4},
    {.id = 13,
     .pid = 4713,
     .generation = 2,
     .state = "killing",
     .uptime_s = 200000,
     .requests = 7,
     .heartbeat_age_s = 31.44,
     .rss_bytes = 1000},
};

const std::string kWorkerTable =
    "ID   PID  GEN  STATE     UPTIME  REQUESTS  IN-FLIGHT  HEARTBEAT      RSS      PSS\n"
    " 1  4711    1  ready      1h02m   1234567          2       20ms  53.0MiB  13.0MiB\n"
    "12     -    2  spawning   400ms         0          0        0ms        -        -\n"
    "13  4713    2  killing    2d07h         7          0      31.4s    1000B        -\n";

TEST(RenderReport, WorkersAreATable) {
  EXPECT_EQ(RenderReport({.id = CommandId::kWorkers}, json(WorkersReport{kWorkers}).dump(), false),
            kWorkerTable);
}

TEST(RenderReport, NoWorkersAreAHeadingOnly) {
  EXPECT_EQ(RenderReport({.id = CommandId::kWorkers}, R"({"workers": []})", false),
            "ID  PID  GEN  STATE  UPTIME  REQUESTS  IN-FLIGHT  HEARTBEAT  RSS  PSS\n");
}

TEST(RenderReport, ColourIsOnTheStateOnly) {
  const auto text =
      RenderReport({.id = CommandId::kWorkers}, json(WorkersReport{{kWorkers[0]}}).dump(), true);
  EXPECT_EQ(text,
            "ID   PID  GEN  STATE  UPTIME  REQUESTS  IN-FLIGHT  HEARTBEAT      RSS      PSS\n"
            " 1  4711    1  \x1b[32mready\x1b[0m   1h02m   1234567          2       20ms  53.0MiB  "
            "13.0MiB\n");
}

StatusReport Serving() {
  return {.state = "serving",
          .version = "0.1.0",
          .pid = 4700,
          .name = "shop",
          .app = "shop.wsgi:app",
          .generation = 3,
          .started_at = "2026-01-02T03:04:05Z",
          .uptime_s = 75,
          .workers_wanted = 4,
          .workers_ready = 3,
          .listeners = {{"http://127.0.0.1:8000", 5}, {"unix:/run/shop.sock", 6}},
          .control_socket = "/run/gunid/shop.sock"};
}

const std::string kStatus =
    "state           serving\n"
    "workers         3 ready of 4 wanted\n"
    "generation      3\n"
    "name            shop\n"
    "app             shop.wsgi:app\n"
    "listening at    http://127.0.0.1:8000, unix:/run/shop.sock\n"
    "pid             4700\n"
    "uptime          1m15s, since 2026-01-02T03:04:05Z\n"
    "version         0.1.0\n"
    "control socket  /run/gunid/shop.sock\n";

TEST(RenderReport, StatusIsABlock) {
  EXPECT_EQ(RenderReport({.id = CommandId::kStatus}, json(Serving()).dump(), false), kStatus);
}

TEST(RenderReport, StatusShowsTheLastErrorIfThereIsOne) {
  StatusReport status = Serving();
  status.last_error = "ImportError: no module named shop\nand more";
  EXPECT_EQ(RenderReport({.id = CommandId::kStatus}, json(status).dump(), false),
            kStatus + "last error      ImportError: no module named shop\\x0aand more\n");
}

TEST(RenderReport, StatsAreTotalsAndTheTable) {
  const StatsReport stats = {.uptime_s = 59.96,
                             .generation = 2,
                             .workers_wanted = 3,
                             .workers_ready = 1,
                             .in_flight = 2,
                             .supervisor_rss_bytes = 6 * 1024 * 1024,
                             .rss_bytes = 80 * 1024 * 1024,
                             .pss_bytes = 30 * 1024 * 1024,
                             .memory_saved_bytes = 50 * 1024 * 1024,
                             .totals = {.requests = 1234574,
                                        .server_errors = 5,
                                        .bytes_sent = 5ULL << 40,
                                        .connections = 99,
                                        .workers_spawned = 6,
                                        .workers_exited = 3,
                                        .workers_crashed = 1,
                                        .reloads = 2,
                                        .reloads_failed = 1,
                                        .timeouts = 4},
                             .workers = kWorkers};
  EXPECT_EQ(RenderReport({.id = CommandId::kStats}, json(stats).dump(), false),
            "uptime              60.0s\n"
            "generation          2\n"
            "workers             1 ready of 3 wanted\n"
            "listening at        none\n"
            "supervisor memory   6.0MiB\n"
            "workers memory      30.0MiB (PSS)\n"
            "saved by sharing    50.0MiB\n"
            "requests in flight  2\n"
            "requests            1234574\n"
            "server errors       5\n"
            "timeouts            4\n"
            "bytes sent          5.0TiB\n"
            "connections         99\n"
            "workers spawned     6\n"
            "workers exited      3\n"
            "workers crashed     1\n"
            "reloads             2\n"
            "reloads failed      1\n"
            "\n" +
                kWorkerTable);
}

TEST(RenderReport, AnOperationIsItsMessage) {
  const OperationReport report = {
      .operation = "scale", .outcome = "done", .message = "8 workers are ready"};
  for (CommandId id : {CommandId::kScale, CommandId::kReload, CommandId::kRollback,
                       CommandId::kRestart, CommandId::kCancel, CommandId::kStop}) {
    EXPECT_EQ(RenderReport({.id = id}, json(report).dump(), true), "8 workers are ready\n");
  }
}

TEST(RenderReport, CrashesAreParagraphs) {
  const CrashesReport report{{
      {.time = "T2",
       .worker = 4,
       .pid = 4714,
       .generation = 2,
       .reason = "crash",
       .message = "was killed by SIGSEGV",
       .requests = {{.id = "4-7", .method = "GET", .path = "/\x1b[2J", .age_s = 2}}},
      {.time = "T1",
       .worker = 3,
       .generation = 2,
       .reason = "boot_failure",
       .message = "no such module",
       .detail = "Traceback"},
  }};
  EXPECT_EQ(RenderReport({.id = CommandId::kCrashes}, json(report).dump(), false),
            "T2  worker 4 (pid 4714, generation 2): was killed by SIGSEGV; reason: crash\n"
            "    in flight: GET /\\x1b[2J (4-7, 2.0s, client -)\n"
            "\n"
            "T1  worker 3 (pid -, generation 2): no such module; reason: boot_failure\n"
            "Traceback\n");
  EXPECT_EQ(RenderReport({.id = CommandId::kCrashes}, R"({"crashes": []})", false),
            "no worker has crashed\n");
}

TEST(RenderReport, AJobTellsHowItEndsOrHowFarItIs) {
  const json running = JobReport{.id = 4,
                                 .operation = "reload",
                                 .state = "running",
                                 .progress = "importing the application",
                                 .started_at = "2026-01-02T03:04:05Z",
                                 .duration_s = 2};
  const std::string text =
      "job        4\n"
      "operation  reload\n"
      "state      running\n"
      "for        2.0s, since 2026-01-02T03:04:05Z\n"
      "progress   importing the application\n";
  EXPECT_EQ(RenderReport({.id = CommandId::kReload, .wait = false}, running.dump(), false), text);
  EXPECT_EQ(RenderReport({.id = CommandId::kJob}, running.dump(), false), text);

  const json failed = JobReport{.id = 4,
                                .operation = "reload",
                                .state = "failed",
                                .started_at = "2026-01-02T03:04:05Z",
                                .duration_s = 2,
                                .message = "no such module",
                                .detail = "Traceback"};
  EXPECT_EQ(RenderReport({.id = CommandId::kJob}, failed.dump(), false),
            "job        4\n"
            "operation  reload\n"
            "state      failed\n"
            "for        2.0s, since 2026-01-02T03:04:05Z\n"
            "outcome    no such module\n"
            "Traceback\n");
}

RequestReport SlowRequest() {
  return {.id = "3-1841",
          .worker = 3,
          .pid = 4713,
          .thread = 4720,
          .method = "GET",
          .path = "/gr\xc3\xbc\xc3\x9f/report",
          .client = "127.0.0.1",
          .age_s = 75,
          .state = "running"};
}

TEST(RenderReport, RequestsAreATableWithThePathLast) {
  const RequestReport other = {.id = "12-7",
                               .worker = 12,
                               .pid = 4711,
                               .method = "POST",
                               .path = "/",
                               .age_s = 0.02,
                               .state = "cancelled"};
  const RequestsReport report{{SlowRequest(), other}};
  EXPECT_EQ(RenderReport({.id = CommandId::kRequests}, json(report).dump(), false),
            "REQUEST  WORKER   PID  THREAD    AGE  CLIENT     STATE      METHOD  PATH\n"
            "3-1841        3  4713    4720  1m15s  127.0.0.1  running    GET     "
            "/gr\xc3\xbc\xc3\x9f/report\n"
            "12-7         12  4711       -   20ms  -          cancelled  POST    /\n");
}

TEST(RenderReport, NoRequestsAreASentence) {
  EXPECT_EQ(RenderReport({.id = CommandId::kRequests}, R"({"requests": []})", true),
            "no requests in flight\n");
}

TEST(RenderReport, StacksAreParagraphs) {
  const StacksReport report = {
      .worker = 3,
      .pid = 4713,
      .threads = {{.thread = "Thread 0x00007f12",
                   .request = "3-1841",
                   .stack = "  File \"/app.py\", line 3 in view\n  File \"/x.py\", line 9 in go\n"},
                  {.thread = "Thread 0x00007f13", .stack = "  File \"/y.py\", line 1 in wait"},
                  {.thread = "Thread 0x00007f14"}}};
  EXPECT_EQ(RenderReport({.id = CommandId::kStack}, json(report).dump(), true),
            "Thread 0x00007f12, request 3-1841\n"
            "  File \"/app.py\", line 3 in view\n"
            "  File \"/x.py\", line 9 in go\n"
            "\n"
            "Thread 0x00007f13\n"
            "  File \"/y.py\", line 1 in wait\n"
            "\n"
            "Thread 0x00007f14\n");
  EXPECT_EQ(RenderReport({.id = CommandId::kStack}, json(StacksReport{}).dump(), false),
            "no thread runs Python\n");
}

EventReport Timeout() {
  return {.id = 17,
          .time = "2026-01-02T03:04:05Z",
          .type = "request_timeout",
          .worker = 3,
          .pid = 4713,
          .request = "3-1841",
          .message = "GET /report has run for 30.0 s",
          .detail = "Thread 0x00007f12:\n  File \"/app.py\", line 3 in view\n\nend"};
}

const std::string kTimeoutEvent =
    "2026-01-02T03:04:05Z  request_timeout    request 3-1841    GET /report has run for 30.0 s\n"
    "    Thread 0x00007f12:\n"
    "      File \"/app.py\", line 3 in view\n"
    "\n"
    "    end\n";

TEST(RenderReport, EventsAreLinesWithTheirDetailBelow) {
  const EventsReport report{{
      {.id = 16, .time = "T1", .type = "worker_ready", .worker = 3, .message = "worker 3 is ready"},
      Timeout(),
      {.id = 18, .time = "T2", .type = "stopping", .message = "the server is being stopped"},
  }};
  EXPECT_EQ(RenderReport({.id = CommandId::kEvents}, json(report).dump(), true),
            "T1  worker_ready       worker 3          worker 3 is ready\n" + kTimeoutEvent +
                "T2  stopping           server            the server is being stopped\n");
  EXPECT_EQ(RenderReport({.id = CommandId::kEvents}, R"({"events": []})", false), "no events\n");
}

TEST(RenderEvent, IsWhatTheListShows) {
  EXPECT_EQ(RenderEvent(Timeout()), kTimeoutEvent);
}

// Each text that an application, a client or a path can bring in.
TEST(RenderReport, NothingOfARequestDrivesTheTerminal) {
  const std::string evil = "\x1b[2J\x07\r\xc2\x9b";
  RequestReport request = SlowRequest();
  for (auto* text : {&request.id, &request.method, &request.path, &request.client, &request.state})
    *text = evil + "\n";
  EventReport event = Timeout();
  for (auto* text : {&event.time, &event.type, &event.request, &event.message}) *text = evil + "\n";
  event.detail = evil;
  const std::pair<CommandId, json> documents[] = {
      {CommandId::kRequests, RequestsReport{{request}}},
      {CommandId::kStack, StacksReport{.threads = {{evil + "\n", evil + "\n", evil}}}},
      {CommandId::kEvents, EventsReport{{event}}},
  };
  for (const auto& [id, document] : documents) {
    const auto text = RenderReport({.id = id}, document.dump(), false);
    ASSERT_TRUE(text);
    EXPECT_EQ(text->find_first_of("\x1b\x07\r\xc2"), std::string::npos) << *text;
    EXPECT_NE(text->find("\\x1b[2J"), std::string::npos) << *text;
    EXPECT_EQ(std::count(text->begin(), text->end(), '\n'), 2) << *text;
  }
}

TEST(RenderReport, UnknownMembersAreIgnored) {
  json document = Serving();
  document["news"] = {1, 2, 3};
  EXPECT_EQ(RenderReport({.id = CommandId::kStatus}, document.dump(), false), kStatus);
}

TEST(RenderReport, WhatIsNoReportIsNotRendered) {
  for (const char* body :
       {"", "x", "{}", "[]", "null", R"({"workers": 3})", R"({"state": 1})", R"({"requests": {}})",
        R"({"events": [1]})", R"({"worker": 1, "pid": 2, "threads": [{}]})"}) {
    for (const CommandRow& row : kCommands) {
      EXPECT_EQ(RenderReport({.id = row.id}, body, false), std::nullopt) << row.name << " " << body;
    }
  }
}

TEST(RenderReport, NothingFromTheServerDrivesTheTerminal) {
  StatusReport status = Serving();
  status.name = "\x1b]0;owned\x07";
  const auto text = RenderReport({.id = CommandId::kStatus}, json(status).dump(), false);
  ASSERT_TRUE(text);
  EXPECT_NE(text->find("name            \\x1b]0;owned\\x07\n"), std::string::npos);
  EXPECT_EQ(text->find('\x1b'), std::string::npos);
}

TEST(RenderError, IsOneLineAndThenTheDetail) {
  EXPECT_EQ(
      RenderError(R"({"error": {"code": "busy", "message": "a reload is running", "detail": ""}})"),
      "a reload is running\n");
  EXPECT_EQ(RenderError(R"({"error": {"code": "boot_failed", "message": "kept generation 1",
                            "detail": "Traceback:\n\tx.py\nNameError: \u001b[2J"}})"),
            "kept generation 1\nTraceback:\n\tx.py\nNameError: \\x1b[2J\n");
}

TEST(RenderError, WhatIsNoErrorDocumentIsNotRendered) {
  for (const char* body : {"", "{}", "[]", R"({"error": "x"})", R"({"error": {"message": "x"}})"}) {
    EXPECT_EQ(RenderError(body), std::nullopt) << body;
  }
}

}  // namespace
}  // namespace gunid
