// The listening sockets of one generation. A socket is shared by the generations that bind the same
// address, so that a reload never closes it; the last to let go closes it and removes the path of a
// Unix socket. Supervisor's loop thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "config/settings.h"
#include "ipc/inherited_sockets.h"
#include "ipc/listeners.h"

namespace gunid {

class BoundListener;

// Sets for the program that takes the supervisor's place: each socket once, and which of them each
// set has.
struct ListenerSetsState {
  struct Socket {
    ListenerAddress wanted;
    ListenerAddress bound;
    int fd = -1;
    bool inherited = false;
    std::uint64_t device = 0;  // of a Unix socket's path
    std::uint64_t inode = 0;
  };
  std::vector<Socket> sockets;
  std::vector<std::vector<std::size_t>> sets;
};

class ListenerSet {
 public:
  static ListenerSetsState ToState(const std::vector<const ListenerSet*>& sets);
  static std::vector<ListenerSet> Adopt(const ListenerSetsState& state);

  // Opens what `settings` binds, taking over from `existing` what is open already. On failure
  // nothing new is left open. Sockets of socket activation take the place of all binds.
  static Result<ListenerSet> Open(const Settings& settings, const ListenerSet& existing,
                                  const InheritedSockets& inherited = {});

  // Takes no new connection, in whatever processes the sockets are still open: a worker that is busy
  // in the application cannot close its own. What the kernel has queued can still be accepted.
  // Paths of Unix sockets are removed. A client of a TCP socket is left unanswered until ShutDownEmpty,
  // and refused when it tries again (after 1 s).
  void StopListening() const;
  // After StopListening: refuses clients of those sockets whose queues are empty, and tells so
  // whoever accepts (EINVAL). True: of all.
  [[nodiscard]] bool ShutDownEmpty() const;
  // At once; what is queued is reset.
  // None of these touches inherited sockets: connections wait there for the next server.
  void ShutDown() const;

  [[nodiscard]] std::vector<ListenerAddress> addresses() const;  // as bound
  [[nodiscard]] std::vector<int> fds() const;
  [[nodiscard]] std::vector<bool> inherited() const;

 private:
  std::vector<std::shared_ptr<BoundListener>> listeners_;
};

}  // namespace gunid
