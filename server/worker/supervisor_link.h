// The worker's side of its channel to the supervisor. Threads of its own, with all signals blocked,
// so that what the supervisor asks is heard whatever the application does to the others: one listens
// and never waits for Python, the other calls what may.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>

#include "base/background_thread.h"
#include "base/unique_fd.h"
#include "ipc/message_socket.h"
#include "ipc/spawn_protocol.h"

namespace gunid {

struct SupervisorRequests {
  // On the calling thread, one after the other in the order in which they came. They may wait, for
  // the GIL or for the application.
  std::function<void(std::uint64_t serial)> cancel;
  std::function<void()> write_stacks;
  // On the listening thread, at once: it is for requests that hold the others up.
  std::function<void(std::uint64_t serial)> abandon;
};

class SupervisorLink {
 public:
  // Starts to listen, and to answer kStackSignal. `channel` outlives the link, and nobody else receives
  // from it. When the supervisor's end is closed - it is dead, however it died - the process ends at
  // once.
  SupervisorLink(MessageSocket& channel, SupervisorRequests requests);
  // Stops to listen. Waits for the call under way, if there is one: not to be called with the GIL.
  // Calls that have not begun are dropped.
  ~SupervisorLink();
  SupervisorLink(const SupervisorLink&) = delete;
  SupervisorLink& operator=(const SupervisorLink&) = delete;

  // gettid() of the thread that listens, and does nothing that a signal could disturb.
  [[nodiscard]] int listener_id() const { return listener_id_; }

  // Any thread. What cannot be sent is lost: the supervisor is gone then.
  void Send(const Message& message) const;

 private:
  void Listen();
  void Receive();
  void Handle(const Message& message);
  void Call(std::function<void()> call);
  void RunCalls();
  std::function<void()> NextCall();  // empty when it is time to end

  MessageSocket& channel_;
  const SupervisorRequests requests_;
  const UniqueFd stop_;  // eventfd

  std::mutex mutex_;
  std::condition_variable called_;
  std::deque<std::function<void()>> calls_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_

  int listener_id_ = 0;
  std::optional<BackgroundThread> caller_;
  std::optional<BackgroundThread> listener_;
};

}  // namespace gunid
