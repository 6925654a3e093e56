#include "supervisor/rollout.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

using E = RolloutEvent;
using S = RolloutState;

constexpr S kStates[] = {S::kLoading,  S::kImporting, S::kRolling,
                         S::kSettling, S::kDone,      S::kFailed};
constexpr E kEvents[] = {E::kSettingsAccepted, E::kZygoteReady, E::kReplaced, E::kSettled,
                         E::kFailure};

TEST(Rollout, GoesForwardStepByStep) {
  S state = S::kLoading;
  for (const auto& [event, next] : {std::pair{E::kSettingsAccepted, S::kImporting},
                                    {E::kZygoteReady, S::kRolling},
                                    {E::kReplaced, S::kSettling},
                                    {E::kSettled, S::kDone}}) {
    state = NextRolloutState(state, event);
    EXPECT_EQ(state, next);
  }
}

TEST(Rollout, EveryUnfinishedStateCanFailAndTheEndsAreFinal) {
  for (const S state : kStates) {
    const bool ended = state == S::kDone || state == S::kFailed;
    EXPECT_EQ(NextRolloutState(state, E::kFailure), ended ? state : S::kFailed);
    if (!ended) continue;
    for (const E event : kEvents) EXPECT_EQ(NextRolloutState(state, event), state);
  }
}

TEST(Rollout, EventsOutOfOrderChangeNothing) {
  EXPECT_EQ(NextRolloutState(S::kLoading, E::kZygoteReady), S::kLoading);
  EXPECT_EQ(NextRolloutState(S::kLoading, E::kReplaced), S::kLoading);
  EXPECT_EQ(NextRolloutState(S::kImporting, E::kReplaced), S::kImporting);
  EXPECT_EQ(NextRolloutState(S::kImporting, E::kSettingsAccepted), S::kImporting);
  EXPECT_EQ(NextRolloutState(S::kRolling, E::kZygoteReady), S::kRolling);
  EXPECT_EQ(NextRolloutState(S::kRolling, E::kSettled), S::kRolling);
  EXPECT_EQ(NextRolloutState(S::kSettling, E::kReplaced), S::kSettling);
}

}  // namespace
}  // namespace gunid
