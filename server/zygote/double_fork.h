// Forks a worker that becomes the supervisor's child: the zygote forks an intermediate process,
// that forks the worker and exits, and the kernel gives the orphan to the nearest subreaper.
// Zygote's only thread, GIL held.
#pragma once

#include <sys/types.h>

namespace gunid {

// In the zygote: the worker's pid, or -1. In the worker: 0. os.register_at_fork's functions have
// run once on each side.
pid_t DoubleFork();

}  // namespace gunid
