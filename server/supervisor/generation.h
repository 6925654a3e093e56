// One load of code and configuration: its settings, its listening sockets and the zygote that forks
// its workers. The number goes up with every reload. Owned by the supervisor: the serving one, and
// the next one while a rollout is under way.
#pragma once

#include <memory>

#include "config/settings.h"
#include "supervisor/listener_set.h"
#include "supervisor/zygote.h"

namespace gunid {

struct Generation {
  int number = 0;
  Settings settings;
  ListenerSet listeners;
  std::unique_ptr<Zygote> zygote;
};

}  // namespace gunid
