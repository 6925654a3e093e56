// Processes that the application forks from a worker (multiprocessing, os.fork) are no workers: they
// must not react to signals as one, keep the port open when the server is gone, or go on serving.
// Programs that the application starts are another matter: descriptors of ours are close-on-exec.
#pragma once

#include <vector>

namespace gunid {

// From now on each child that this process forks calls `restore_signals`, which must be
// async-signal-safe, and closes `fds`, before anything else runs in it. Once, in a worker.
void DetachForkedChildren(const std::vector<int>& fds, void (*restore_signals)());

// This process has forked children that way: they may hold its connections open.
bool HasForked();

// This process was forked by a worker's application.
bool InForkedChild();

}  // namespace gunid
