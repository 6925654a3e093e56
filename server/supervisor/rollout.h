// Bringing a generation into service: the first start and every reload. A transaction: it ends
// done, or failed with everything as it was before (at the first start: with the program's end).
// The states are a pure function; generations.cc carries them out.
//
//   loading --settings--> importing --zygote ready--> rolling --replaced--> done
//   any of these --failure--> failed
#pragma once

#include <cstdint>
#include <memory>

#include "supervisor/generation.h"

namespace gunid {

enum class RolloutState : std::uint8_t {
  kLoading,    // the zygote reads the configuration
  kImporting,  // listeners are open; with --preload the zygote imports the application
  kRolling,    // workers are replaced one by one
  kDone,
  kFailed,
};

enum class RolloutEvent : std::uint8_t { kSettingsAccepted, kZygoteReady, kReplaced, kFailure };

RolloutState NextRolloutState(RolloutState state, RolloutEvent event);

struct Rollout {
  std::unique_ptr<Generation> generation;
  RolloutState state = RolloutState::kLoading;
};

}  // namespace gunid
