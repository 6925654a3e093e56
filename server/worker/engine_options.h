// What the settings mean for the engine of a worker. Main thread, once, before the engine is made.
#pragma once

#include "config/settings.h"
#include "engine/engine.h"

namespace gunid {

// Also raises the limit of open files to what worker_connections need, as far as it may; where that
// is too low, the connections are fewer, and the log says so.
EngineOptions EngineOptionsFrom(const Settings& settings);

}  // namespace gunid
