#include "engine/adopter.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "engine/acceptor.h"
#include "engine/engine.h"

namespace gunid {

Adopter::Adopter(Engine& engine, const Handover& handover, const std::vector<Listener>& listeners)
    : engine_(engine), handover_(handover) {
  for (const Listener& listener : listeners) addresses_.push_front(listener.address);
}

Adopter::~Adopter() {
  SetActive(false);
}

void Adopter::SetActive(bool active) {
  const bool wanted = active && !ended_;
  if (wanted == watched_) return;
  if (!wanted) {
    engine_.loop().Remove(handover_.receiving_fd(), this);
    watched_ = false;
  } else {
    watched_ = engine_.loop().Add(handover_.receiving_fd(), EPOLLIN | EPOLLEXCLUSIVE, this);
  }
}

void Adopter::End() {
  ended_ = true;
  SetActive(false);
}

void Adopter::OnEvents(std::uint32_t /*events*/) {
  if (engine_.may_accept()) return Look();
  SetActive(false);
  PassOn();
}

void Adopter::Look() {
  HandedConnection handed;
  if (Receive(handed)) Adopt(std::move(handed));
}

// This worker alone was told of it. Sent anew, it is told to one that still watches.
void Adopter::PassOn() {
  HandedConnection handed;
  if (!Receive(handed)) return;
  if (!handover_.Send(handed.socket.get(), handed.listener, handed.fresh)) Adopt(std::move(handed));
}

bool Adopter::Receive(HandedConnection& handed) {
  if (ended_) return false;
  const Handover::Receipt receipt = handover_.Receive(handed);
  if (receipt == Handover::Receipt::kClosed) End();
  return receipt == Handover::Receipt::kConnection;
}

void Adopter::Adopt(HandedConnection handed) {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  const auto* address = reinterpret_cast<const sockaddr*>(&peer);
  // It is gone.
  if (::getpeername(handed.socket.get(), reinterpret_cast<sockaddr*>(&peer), &length) != 0) return;
  engine_.Admit({.socket = std::move(handed.socket),
                 .peer = PeerAddressOf(peer),
                 .ip = IpAddress::Of(address),
                 .listener = AddressFor(handed.listener),
                 .fresh = handed.fresh,
                 .adopted = true});
}

const ListenerAddress& Adopter::AddressFor(const ListenerAddress& address) {
  const auto found = std::ranges::find(addresses_, address);
  return found != addresses_.end() ? *found : addresses_.emplace_front(address);
}

}  // namespace gunid
