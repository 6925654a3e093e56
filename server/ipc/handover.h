// The way of an idle connection from a worker that goes to one that stays: a socket pair whose queue,
// kept by the kernel, holds one message per connection with its descriptor. Made by the supervisor for
// its whole life; both ends reach all zygotes by exec and all workers by fork, whatever their
// generation. No process is in between: what is queued outlives its sender, and waits as in a backlog
// until some worker has room.
//
// States: open -> closed (by the supervisor, when the server stops): nothing can be sent any more, what
// is queued is still received, and then the end. Any thread; owned by the supervisor, and in each
// other process by its main function or its worker.
#pragma once

#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"
#include "ipc/listeners.h"

namespace gunid {

struct HandedConnection {
  UniqueFd socket;           // non-blocking, close-on-exec
  ListenerAddress listener;  // that it came by
  bool fresh = false;        // it has had no request yet
};

class Handover {
 public:
  static Result<Handover> Create();
  Handover(UniqueFd sending, UniqueFd receiving)
      : sending_(std::move(sending)), receiving_(std::move(receiving)) {}

  [[nodiscard]] int sending_fd() const { return sending_.get(); }
  // Readable when there is a connection, or the end.
  [[nodiscard]] int receiving_fd() const { return receiving_.get(); }

  // False: the connection stays here. The queue is full, or closed.
  [[nodiscard]] bool Send(int socket, const ListenerAddress& listener, bool fresh) const;

  enum class Receipt { kConnection, kNothing, kClosed };
  // Does not wait. What is no such message is logged and dropped: kNothing.
  Receipt Receive(HandedConnection& connection) const;

  void Close() const;  // in all processes
  [[nodiscard]] bool closed() const;

 private:
  UniqueFd sending_;
  UniqueFd receiving_;
};

}  // namespace gunid
