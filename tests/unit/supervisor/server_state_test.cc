#include "supervisor/server_state.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

ServerState Example() {
  ServerState state;
  state.leaving = {"1.0", "/usr/bin/gunid", 10, "/usr/bin/gunid-worker", 11};
  state.directory = "/srv/\xff";
  state.blocked_signals = {1, 15};
  state.inherited_sockets = {3};
  state.scoreboard_fd = 12;
  state.handover_sending_fd = 13;
  state.handover_receiving_fd = 14;
  state.control = {"/run/gunid/a.sock", 15, 7, 8};
  state.generations.last_number = 4;
  state.generations.generations = {{.number = 3, .settings = "{}", .zygote = {100, 16, 17}},
                                   {.number = 2, .settings = "{}", .zygote = {101, 18, 19}}};
  ListenerAddress tcp{.family = ListenerAddress::Family::kIpv6, .host = "::1", .port = 0};
  ListenerAddress bound = tcp;
  bound.port = 8000;
  state.generations.listeners.sockets = {{tcp, bound, 20, false, 0, 0}};
  state.generations.listeners.sets = {{0}, {0}};
  WorkerHandle worker{.id = 5, .slot = 1, .generation = 3, .pid = 200};
  worker.state = WorkerState::kDraining;
  worker.reason = StopReason::kLifetime;
  worker.created = TimePoint(Nanoseconds(123456789012345));
  worker.deadline = TimePoint(Nanoseconds(5));
  state.pool = {.wanted = 4, .generation = 3, .next_id = 6, .workers = {worker}};
  state.channels = {{.worker = 5,
                     .pid = 200,
                     .socket_fd = 21,
                     .stack_fd = 22,
                     .stack_thread = 201,
                     .greenlets = true}};
  state.statistics.of_gone_workers.requests = 1ULL << 60;
  state.statistics.stops["crash"] = 2;
  Job job{.id = 9, .command = CommandId::kUpgrade};
  job.message = "m";
  state.jobs = {.last_id = 9, .jobs = {job}};
  state.events.events = {{.id = 77, .type = "reloaded", .message = "x"}};
  state.crashes.crashes = {{.worker = 1, .reason = "crash"}};
  state.watched_files = {"/srv/app.py"};
  return state;
}

TEST(ServerState, ComesBackAsItWas) {
  const ServerState state = Example();
  const auto decoded = DecodeServerState(EncodeServerState(state));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  // Every member is written, so what is equal here is equal.
  EXPECT_EQ(EncodeServerState(*decoded), EncodeServerState(state));
  const WorkerHandle& worker = decoded->pool.workers.at(0);
  EXPECT_EQ(worker.state, WorkerState::kDraining);
  EXPECT_EQ(worker.reason, StopReason::kLifetime);
  EXPECT_EQ(worker.created, TimePoint(Nanoseconds(123456789012345)));
  EXPECT_EQ(worker.deadline, TimePoint(Nanoseconds(5)));
  EXPECT_FALSE(worker.lifetime_end);
  EXPECT_FALSE(decoded->returning);
  EXPECT_EQ(decoded->jobs.jobs.at(0).command, CommandId::kUpgrade);
  EXPECT_EQ(decoded->jobs.jobs.at(0).state, JobState::kRunning);
  EXPECT_EQ(decoded->generations.listeners.sockets.at(0).bound.port, 8000);
  EXPECT_EQ(decoded->statistics.of_gone_workers.requests, 1ULL << 60);
}

TEST(ServerState, SaysWhyItComesBack) {
  ServerState state = Example();
  state.returning = {"upgrade_failed", "no", "Traceback"};
  const auto decoded = DecodeServerState(EncodeServerState(state));
  ASSERT_TRUE(decoded.ok());
  ASSERT_TRUE(decoded->returning);
  EXPECT_EQ(decoded->returning->detail, "Traceback");
}

TEST(ServerState, BearsMembersOfAnotherVersion) {
  const auto decoded = DecodeServerState(
      R"({"format": 1, "unheard_of": [1], "pool": {"wanted": 3, "colour": "red",
          "workers": [{"id": 1, "state": "singing", "reason": "boredom"}]}})");
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(decoded->pool.wanted, 3);
  EXPECT_EQ(decoded->pool.next_id, 1);
  EXPECT_EQ(decoded->control.fd, -1);
}

TEST(ServerState, RefusesAnotherFormatAndWhatIsNoState) {
  const auto format = DecodeServerState(R"({"format": 2})");
  ASSERT_FALSE(format.ok());
  EXPECT_EQ(format.error().message,
            "the state of the running program has format 2, this one knows 1: a restart is needed");
  for (const char* text : {"", "{", "[]", "{}", R"({"format": 1, "pool": 3})"}) {
    EXPECT_FALSE(DecodeServerState(text).ok()) << text;
  }
}

TEST(ServerState, NamesEachDescriptorOnce) {
  EXPECT_EQ(DescriptorsOf(Example()),
            (std::vector<int>{3, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22}));
  EXPECT_EQ(DescriptorsOf({}), std::vector<int>());
}

}  // namespace
}  // namespace gunid
