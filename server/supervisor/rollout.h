// Bringing a generation into service: the first start, every reload, and every way back to an
// earlier generation. A transaction: it ends done, or failed with the generation that served before
// serving on (at the first start: with the program's end). The states are a pure function;
// generations.cc carries them out.
//
//   loading --settings--> importing --zygote ready--> rolling --replaced--> settling --settled--> done
//   any of these --failure--> failed
//
// A rollout to a generation that was kept begins with rolling: its zygote is ready. One that fails
// while it settles has replaced all workers already: another rollout brings the old ones back. If
// their zygote has died there is no way back, and the new generation serves on.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "supervisor/generation.h"

namespace gunid {

enum class RolloutState : std::uint8_t {
  kLoading,    // the zygote reads the configuration
  kImporting,  // listeners are open; with --preload the zygote imports the application
  kRolling,    // workers are replaced; the first new one is the canary
  kSettling,   // only new workers serve, and must live for reload_settle seconds
  kDone,
  kFailed,
};

enum class RolloutEvent : std::uint8_t {
  kSettingsAccepted,
  kZygoteReady,
  kReplaced,
  kSettled,
  kFailure,
};

RolloutState NextRolloutState(RolloutState state, RolloutEvent event);

// For people: "importing the application", ...
std::string_view RolloutStateName(RolloutState state);

// Which way a rollout goes.
enum class RolloutKind : std::uint8_t {
  kLoad,      // code and configuration are loaded anew
  kRollback,  // to a kept generation, asked for by an operator
  kReturn,    // likewise, because a rollout failed while it settled
};

struct Rollout {
  std::unique_ptr<Generation> generation;  // while it settles it serves, and this is null
  RolloutKind kind = RolloutKind::kLoad;
  RolloutState state = RolloutState::kLoading;
  int served_before = 0;  // while it settles: the generation to return to
};

}  // namespace gunid
