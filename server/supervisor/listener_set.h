// The listening sockets of one generation. A socket is shared by the generations that bind the same
// address, so that a reload never closes it; the last to let go closes it and removes the path of a
// Unix socket. Supervisor's loop thread.
#pragma once

#include <memory>
#include <vector>

#include "config/settings.h"
#include "ipc/inherited_sockets.h"
#include "ipc/listeners.h"

namespace gunid {

class BoundListener;

class ListenerSet {
 public:
  // Opens what `settings` binds, taking over from `existing` what is open already. On failure
  // nothing new is left open. Sockets of socket activation take the place of all binds.
  static Result<ListenerSet> Open(const Settings& settings, const ListenerSet& existing,
                                  const InheritedSockets& inherited = {});

  // Refuses new connections, in whatever processes the sockets are still open: a worker that is
  // busy in the application cannot close its own. Not on inherited sockets: connections wait there
  // for the next server.
  void ShutDown() const;

  [[nodiscard]] std::vector<ListenerAddress> addresses() const;  // as bound
  [[nodiscard]] std::vector<int> fds() const;

 private:
  std::vector<std::shared_ptr<BoundListener>> listeners_;
};

}  // namespace gunid
