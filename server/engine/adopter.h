// Takes the idle connections that workers hand over when they go (ipc/handover.h), like the acceptor of
// one more listener. Leading thread; owned by the engine.
#pragma once

#include <forward_list>
#include <vector>

#include "base/event_loop.h"
#include "ipc/handover.h"
#include "ipc/listeners.h"

namespace gunid {

class Engine;

class Adopter : public EventHandler {
 public:
  Adopter(Engine& engine, const Handover& handover, const std::vector<Listener>& listeners);
  ~Adopter() override;
  Adopter(const Adopter&) = delete;
  Adopter& operator=(const Adopter&) = delete;

  // Once it is active it stays so until a connection comes that there is no room for: the loop is not
  // bothered with each request.
  void SetActive(bool active);
  // Takes one, if there is one: another worker may have been told of it, and not have taken it.
  void Look();
  // Takes no more. The addresses of connections that are open stay.
  void End();
  // Nothing comes any more.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  void OnEvents(std::uint32_t events) override;
  void PassOn();
  [[nodiscard]] bool Receive(HandedConnection& handed);
  void Adopt(HandedConnection handed);
  const ListenerAddress& AddressFor(const ListenerAddress& address);

  Engine& engine_;
  const Handover& handover_;
  // Also those that this worker does not listen on: of a generation that bound others.
  std::forward_list<ListenerAddress> addresses_;
  bool watched_ = false;
  bool ended_ = false;
};

}  // namespace gunid
