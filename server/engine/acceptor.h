// Accepts the connections of one listener while the engine has room for them, and is out of the
// event loop otherwise, so that other workers get them. Leading thread; owned by the engine.
#pragma once

#include <sys/socket.h>

#include "base/event_loop.h"
#include "engine/exchange.h"
#include "ipc/listeners.h"

namespace gunid {

class Engine;

PeerAddress PeerAddressOf(const sockaddr_storage& address);

class Acceptor : public EventHandler {
 public:
  Acceptor(Engine& engine, const Listener& listener);
  ~Acceptor() override;
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  void SetActive(bool active);
  // Takes one, if there is one: another worker may have been told of it, and not have taken it.
  bool Look();
  // Takes as many as the engine has places for: one, and its extra_places().
  void TakeWaiting();
  // The supervisor has shut the socket down: nothing comes any more.
  [[nodiscard]] bool ended() const { return ended_; }
  // What is queued at a stop of the server is for the next one.
  [[nodiscard]] bool outlives_server() const { return listener_.outlives_server; }

 private:
  void OnEvents(std::uint32_t events) override;
  [[nodiscard]] bool HasEnded(int error) const;
  void BackOff();
  void Watch();

  Engine& engine_;
  const Listener& listener_;
  bool active_ = false;
  bool watched_ = false;
  bool ended_ = false;
  bool failing_ = false;                // the last attempt failed, and the log says so
  EventLoop::TimerId retry_timer_ = 0;  // set: wait for it after a failure
};

}  // namespace gunid
