// Listening sockets that gunid was started with: by socket activation ($LISTEN_FDS, in the place of
// what `bind` says), or named by a bind of fd://N. They are the parent's, which goes on using them:
// they are neither shut down nor are their paths removed. Made once at the start of the program,
// while it has one thread; afterwards the supervisor's.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "ipc/listeners.h"

namespace gunid {

class InheritedSockets {
 public:
  // None.
  InheritedSockets() = default;

  // Before the program opens any descriptor of its own: what is open now is inherited. Takes
  // LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES out of the environment, and lets no child inherit the
  // sockets by exec. Fails if a descriptor that LISTEN_FDS stands for is no listening socket.
  static Result<InheritedSockets> Take();

  // Those of the program whose place this one takes, which are open under the same numbers.
  static Result<InheritedSockets> Adopt(const std::vector<int>& numbers,
                                        const std::vector<int>& activated);
  [[nodiscard]] std::vector<int> numbers() const;

  // The numbers that LISTEN_FDS stands for; empty without socket activation.
  [[nodiscard]] const std::vector<int>& activated() const { return activated_; }

  // Where the inherited socket of that number listens.
  [[nodiscard]] Result<ListenerAddress> AddressOf(int number) const;
  // A copy of it: the original stays open for the next who wants it.
  [[nodiscard]] Result<Listener> Open(int number) const;

 private:
  void Add(int number, ListenerAddress address);

  std::map<int, std::shared_ptr<Listener>> sockets_;  // by number
  std::vector<int> activated_;
};

}  // namespace gunid
