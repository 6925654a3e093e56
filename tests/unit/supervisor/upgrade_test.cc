#include "supervisor/upgrade.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/signal_source.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

using E = UpgradeEvent;
using P = UpgradePhase;

TEST(UpgradePhase, EveryEventInEveryPhase) {
  struct Row {
    P phase;
    P asked, passed, refused, taken_over, serves, failed;
  };
  for (const Row& row : {
           Row{P::kNone, P::kRehearsing, P::kNone, P::kNone, P::kProving, P::kNone, P::kNone},
           Row{P::kRehearsing, P::kRehearsing, P::kLeaving, P::kNone, P::kRehearsing, P::kNone,
               P::kRehearsing},
           Row{P::kLeaving, P::kLeaving, P::kLeaving, P::kNone, P::kLeaving, P::kNone, P::kLeaving},
           Row{P::kProving, P::kProving, P::kProving, P::kNone, P::kProving, P::kNone,
               P::kReturning},
           Row{P::kReturning, P::kReturning, P::kLeaving, P::kNone, P::kReturning, P::kNone,
               P::kReturning},
       }) {
    SCOPED_TRACE(static_cast<int>(row.phase));
    EXPECT_EQ(NextUpgradePhase(row.phase, E::kAsked), row.asked);
    EXPECT_EQ(NextUpgradePhase(row.phase, E::kPassed), row.passed);
    EXPECT_EQ(NextUpgradePhase(row.phase, E::kRefused), row.refused);
    EXPECT_EQ(NextUpgradePhase(row.phase, E::kTakenOver), row.taken_over);
    EXPECT_EQ(NextUpgradePhase(row.phase, E::kServes), row.serves);
    EXPECT_EQ(NextUpgradePhase(row.phase, E::kFailed), row.failed);
  }
}

class RehearsalTest : public testing::Test {
 protected:
  std::string Script(const std::string& lines) {
    const std::string path = directory.File("program");
    std::ofstream(path) << "#!/bin/sh\n" << lines << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  Rehearsal::Outcome Run(const std::string& lines, const ServerState& state = {}) {
    std::optional<Rehearsal::Outcome> outcome;
    rehearsal.Start({Script(lines), {"program", "app:app"}, {"ADDED=1"}}, state,
                    [&](const Rehearsal::Outcome& ended) { outcome = ended; });
    while (!outcome) loop.RunOnce();
    return *outcome;
  }

  TemporaryDirectory directory;
  EventLoop loop;
  Reaper reaper{loop};
  SignalSource signals{loop, {SIGCHLD}, [this](int) { reaper.Reap(); }};
  Rehearsal rehearsal{loop, reaper};
};

TEST_F(RehearsalTest, OneThatSaysItsVersionHasPassed) {
  const auto outcome = Run("echo gunid can take over: version 9.9");
  EXPECT_EQ(outcome.version, "9.9");
}

TEST_F(RehearsalTest, ItGetsTheArgumentsTheStateAndItsDescriptors) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  ServerState state;
  state.scoreboard_fd = ends[1];
  state.directory = "/from/here";
  const auto outcome =
      Run("echo \"$1,$2,$ADDED\" >&2; cat /proc/self/fd/$GUNID_STATE_FD >&2\n"
          "echo written >&" +
              std::to_string(ends[1]) + "; exit 1",
          state);
  EXPECT_TRUE(outcome.error.detail.starts_with("--rehearse-upgrade,app:app,1\n{"))
      << outcome.error.detail;
  EXPECT_NE(outcome.error.detail.find("/from/here"), std::string::npos);
  char text[8] = {};
  EXPECT_EQ(read(ends[0], text, sizeof text), 8);
  EXPECT_EQ(std::string(text, 8), "written\n");
  // Nothing else was changed here.
  EXPECT_EQ(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(RehearsalTest, WhatIsNoGunidIsRefused) {
  EXPECT_EQ(Run("exit 0").error.message,
            "the program " + directory.File("program") +
                " cannot take over: it is no gunid that can take over");
  EXPECT_NE(Run("echo oops >&2; exit 3").error.message.find("exited with code 3"),
            std::string::npos);
  EXPECT_NE(Run("kill -ABRT $$").error.message.find("was killed by SIGABRT"), std::string::npos);
}

TEST_F(RehearsalTest, OneThatIsNotThereIsRefusedLater) {
  std::optional<Rehearsal::Outcome> outcome;
  rehearsal.Start({"/nonexistent/gunid", {"gunid"}, {}}, {},
                  [&](const Rehearsal::Outcome& ended) { outcome = ended; });
  EXPECT_FALSE(outcome);
  while (!outcome) loop.RunOnce();
  EXPECT_NE(outcome->error.message.find("No such file"), std::string::npos);
}

TEST_F(RehearsalTest, OneThatIsCancelledIsKilledAndNotHeardOf) {
  rehearsal.Start({Script("sleep 600 & sleep 600"), {"program"}, {}}, {},
                  [](const Rehearsal::Outcome&) { FAIL(); });
  rehearsal.Cancel();
  loop.RunOnce(Nanoseconds(0));
}

TEST(TakeServerState, IsNothingWithoutTheVariable) {
  unsetenv("GUNID_STATE_FD");
  const auto state = TakeServerState();
  ASSERT_TRUE(state.ok());
  EXPECT_FALSE(state->has_value());
}

TEST(TakeServerState, RefusesWhatNoGunidHasLeft) {
  for (const char* value : {"", "x", "1", "99", "-1"}) {
    setenv("GUNID_STATE_FD", value, 1);
    EXPECT_FALSE(TakeServerState().ok()) << value;
    EXPECT_EQ(std::getenv("GUNID_STATE_FD"), nullptr);
  }
}

}  // namespace
}  // namespace gunid
