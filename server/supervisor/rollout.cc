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
      return state == RolloutState::kRolling ? RolloutState::kSettling : state;
    case RolloutEvent::kSettled:
      return state == RolloutState::kSettling ? RolloutState::kDone : state;
  }
  return state;
}

std::string_view RolloutStateName(RolloutState state) {
  switch (state) {
    case RolloutState::kLoading:
      return "reading the configuration";
    case RolloutState::kImporting:
      return "importing the application";
    case RolloutState::kRolling:
      return "replacing workers";
    case RolloutState::kSettling:
      return "watching the new workers";
    case RolloutState::kDone:
      return "done";
    case RolloutState::kFailed:
      break;
  }
  return "failed";
}

}  // namespace gunid
