// gevent before there is a gevent worker: in the zygote. Main thread, GIL held.
#pragma once

#include "base/result.h"

namespace gunid {

// gevent.monkey.patch_all(), which has to come before the application is imported. An error if
// there is no gevent.
Status PatchForGreenlets();

// In a worker that was just forked. The application, when it was imported before, may have made a
// hub, and greenlets that wait in it: they go on in each worker.
void ReviveGreenlets();

}  // namespace gunid
