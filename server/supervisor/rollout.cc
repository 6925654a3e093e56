#include "supervisor/rollout.h"

namespace gunid {

RolloutState NextRolloutState(RolloutState state, RolloutEvent event) {
  if (state == RolloutState::kDone || state == RolloutState::kFailed) return state;
  switch (event) {
    case RolloutEvent::kFailure:
      return RolloutState::kFailed;
    case RolloutEvent::kSettingsAccepted:
      return state == RolloutState::kLoading ? RolloutState::kImporting : state;
    case RolloutEvent::kZygoteReady:
      return state == RolloutState::kImporting ? RolloutState::kRolling : state;
    case RolloutEvent::kReplaced:
      return state == RolloutState::kRolling ? RolloutState::kDone : state;
  }
  return state;
}

}  // namespace gunid
