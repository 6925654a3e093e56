// Accepts the connections of one listener while the engine has room for them, and is out of the
// event loop otherwise, so that other workers get them. Leading thread; owned by the engine.
#pragma once

#include "base/event_loop.h"
#include "ipc/listeners.h"

namespace gunid {

class Engine;

class Acceptor : public EventHandler {
 public:
  Acceptor(Engine& engine, const Listener& listener);
  ~Acceptor() override;
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  void SetActive(bool active);

 private:
  void OnEvents(std::uint32_t events) override;
  void BackOff();
  void Watch();

  Engine& engine_;
  const Listener& listener_;
  bool active_ = false;
  bool watched_ = false;
  bool failing_ = false;                // the last attempt failed, and the log says so
  EventLoop::TimerId retry_timer_ = 0;  // set: wait for it after a failure
};

}  // namespace gunid
