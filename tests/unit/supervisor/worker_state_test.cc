#include "supervisor/worker_state.h"

#include <gtest/gtest.h>

#include <vector>

namespace gunid {
namespace {

using A = WorkerAction;
using E = WorkerEvent;
using S = WorkerState;

struct Row {
  S from;
  E event;
  S next;
  std::vector<A> actions;
};

// Every pair that is not listed keeps the state and does nothing.
const std::vector<Row> kTable = {
    {S::kSpawning, E::kForked, S::kBooting, {A::kSendGo, A::kArmBootDeadline}},
    {S::kSpawning, E::kForkFailed, S::kGone, {A::kReportBootFailure}},
    {S::kSpawning, E::kDrain, S::kKilling, {}},
    {S::kSpawning, E::kQuit, S::kKilling, {}},
    {S::kSpawning, E::kExited, S::kGone, {A::kReportBootFailure}},

    {S::kBooting, E::kReady, S::kReady, {A::kDisarm, A::kReportReady}},
    {S::kBooting, E::kBootFailed, S::kKilling, {A::kArmKillDeadline, A::kReportBootFailure}},
    {S::kBooting, E::kDrain, S::kDraining, {A::kSendTerm, A::kArmDrainDeadline}},
    {S::kBooting, E::kQuit, S::kKilling, {A::kSendQuit, A::kArmKillDeadline}},
    {S::kBooting, E::kDeadline, S::kBooting, {A::kDumpStacks}},
    {S::kBooting,
     E::kHangs,
     S::kKilling,
     {A::kSendKill, A::kArmKillDeadline, A::kReportBootFailure}},
    {S::kBooting, E::kExited, S::kGone, {A::kReportBootFailure}},

    {S::kReady, E::kDrain, S::kDraining, {A::kSendTerm, A::kArmDrainDeadline}},
    {S::kReady, E::kDrains, S::kDraining, {A::kArmDrainDeadline}},
    {S::kReady, E::kQuit, S::kKilling, {A::kSendQuit, A::kArmKillDeadline}},
    {S::kReady, E::kExited, S::kGone, {A::kReportCrash}},

    {S::kDraining, E::kQuit, S::kKilling, {A::kSendQuit, A::kArmKillDeadline}},
    {S::kDraining, E::kStuck, S::kKilling, {A::kSendKill, A::kArmKillDeadline}},
    {S::kDraining, E::kDeadline, S::kKilling, {A::kSendKill, A::kArmKillDeadline}},
    {S::kDraining, E::kExited, S::kGone, {}},

    {S::kKilling, E::kForked, S::kKilling, {A::kSendKill, A::kArmKillDeadline}},
    {S::kKilling, E::kForkFailed, S::kGone, {}},
    {S::kKilling, E::kDeadline, S::kKilling, {A::kSendKill, A::kArmKillDeadline}},
    {S::kKilling, E::kExited, S::kGone, {}},
};

constexpr S kStates[] = {S::kSpawning, S::kBooting, S::kReady, S::kDraining, S::kKilling, S::kGone};
constexpr E kEvents[] = {E::kForked,   E::kForkFailed, E::kReady,  E::kBootFailed,
                         E::kDrain,    E::kQuit,       E::kDrains, E::kStuck,
                         E::kDeadline, E::kHangs,      E::kExited};

Row Expected(S state, E event) {
  for (const Row& row : kTable) {
    if (row.from == state && row.event == event) return row;
  }
  return {state, event, state, {}};
}

TEST(WorkerState, FollowsTheTableForEveryStateAndEvent) {
  for (const S state : kStates) {
    for (const E event : kEvents) {
      SCOPED_TRACE("state " + std::to_string(static_cast<int>(state)) + " event " +
                   std::to_string(static_cast<int>(event)));
      const Row expected = Expected(state, event);
      const WorkerTransition transition = NextWorkerState(state, event);
      EXPECT_EQ(transition.next, expected.next);
      std::vector<A> actions;
      for (const A action : transition.actions) {
        if (action != A::kNone) actions.push_back(action);
      }
      EXPECT_EQ(actions, expected.actions);
    }
  }
}

TEST(WorkerState, EveryStateLeadsToGoneWhenTheProcessExits) {
  for (const S state : kStates) EXPECT_EQ(NextWorkerState(state, E::kExited).next, S::kGone);
}

TEST(WorkerState, EachStateHasAName) {
  std::vector<std::string_view> names;
  for (const S state : kStates) names.push_back(WorkerStateName(state));
  EXPECT_EQ(names, (std::vector<std::string_view>{"spawning", "booting", "ready", "draining",
                                                  "killing", "gone"}));
}

}  // namespace
}  // namespace gunid
