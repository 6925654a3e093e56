#include "supervisor/listener_set.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "base/same_file.h"

namespace gunid {
namespace {

// The kernel drops segments of a handshake's beginning from now on: those connections that are
// complete, or about to be, stay. A client sends the segment again and again; once the socket is
// closed or shut down it is refused. False: the filter cannot be attached.
bool DropNewConnections(int tcp_listener) {
  constexpr std::uint32_t kFlagsOffset = 13;  // a socket's filter sees the TCP header first
  constexpr std::uint32_t kSyn = 0x02;
  constexpr std::uint32_t kAck = 0x10;
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFlagsOffset),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, kSyn | kAck),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSyn, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, std::numeric_limits<std::uint32_t>::max()),
  };
  const sock_fprog filter{std::size(program), program};
  return setsockopt(tcp_listener, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0;
}

bool QueueIsEmpty(int tcp_listener) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(tcp_listener, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return true;
  return info.tcpi_unacked == 0;  // of a listener: the length of its queue
}

}  // namespace

class BoundListener {
 public:
  BoundListener(ListenerAddress wanted, Listener listener, bool inherited)
      : wanted_(std::move(wanted)), listener_(std::move(listener)), inherited_(inherited) {
    if (HasPath()) stat(listener_.address.path.c_str(), &made_);
  }
  explicit BoundListener(const ListenerSetsState::Socket& state)
      : wanted_(state.wanted),
        listener_{state.bound, UniqueFd(state.fd), state.inherited},
        inherited_(state.inherited) {
    made_.st_dev = state.device;
    made_.st_ino = state.inode;
  }
  ~BoundListener() { RemovePath(); }
  BoundListener(const BoundListener&) = delete;
  BoundListener& operator=(const BoundListener&) = delete;

  // As in the settings: port 0 stays 0.
  [[nodiscard]] const ListenerAddress& wanted() const { return wanted_; }
  [[nodiscard]] const Listener& listener() const { return listener_; }
  [[nodiscard]] bool inherited() const { return inherited_; }
  [[nodiscard]] ListenerSetsState::Socket ToState() const {
    return {wanted_, listener_.address, listener_.fd.get(), inherited_, made_.st_dev, made_.st_ino};
  }

  void StopListening() {
    if (inherited_) return;
    RemovePath();
    // A Unix socket keeps its queue.
    if (IsUnix() || !DropNewConnections(listener_.fd.get())) return ShutDown();
    // Those that have connected, and sent nothing yet.
    const int none = 0;
    setsockopt(listener_.fd.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &none, sizeof none);
  }
  bool ShutDownEmpty() {
    if (!inherited_ && !shut_down_ && QueueIsEmpty(listener_.fd.get())) ShutDown();
    return inherited_ || shut_down_;
  }
  void ShutDown() {
    if (inherited_) return;
    shutdown(listener_.fd.get(), SHUT_RDWR);
    shut_down_ = true;
  }

 private:
  [[nodiscard]] bool IsUnix() const {
    return listener_.address.family == ListenerAddress::Family::kUnix;
  }
  [[nodiscard]] bool HasPath() const {
    return !inherited_ && IsUnix() && !listener_.address.path.starts_with('@') && !path_removed_;
  }
  void RemovePath() {
    struct stat now {};
    if (HasPath() && stat(listener_.address.path.c_str(), &now) == 0 && IsSameFile(now, made_)) {
      unlink(listener_.address.path.c_str());
    }
    path_removed_ = true;
  }

  ListenerAddress wanted_;
  Listener listener_;
  bool inherited_;
  struct stat made_ {};
  bool path_removed_ = false;  // or was another's
  bool shut_down_ = false;
};

namespace {

// What is to be listened on: an address to bind, or an inherited socket that listens there.
struct Wanted {
  ListenerAddress address;
  std::optional<int> inherited;  // its number
};

Result<Wanted> WantedSocket(const std::string& bind, const InheritedSockets& inherited) {
  constexpr std::string_view kDescriptor = "fd://";
  if (!bind.starts_with(kDescriptor)) {
    auto address = ParseBind(bind);
    if (!address) return address.error();
    return Wanted{std::move(*address), std::nullopt};
  }
  int number = 0;
  const char* const end = bind.data() + bind.size();
  const auto [stop, error] = std::from_chars(bind.data() + kDescriptor.size(), end, number);
  auto address = error == std::errc() && stop == end
                     ? inherited.AddressOf(number)
                     : Error{"fd:// needs the number of a descriptor"};
  if (!address) return Error{"invalid bind address '" + bind + "': " + address.error().message};
  return Wanted{std::move(*address), number};
}

Result<std::vector<Wanted>> WantedSockets(const Settings& settings,
                                          const InheritedSockets& inherited) {
  std::vector<std::string> binds = settings.bind;
  if (!inherited.activated().empty()) {
    binds.clear();
    for (const int number : inherited.activated())
      binds.push_back("fd://" + std::to_string(number));
  }
  std::vector<Wanted> sockets;
  for (const std::string& bind : binds) {
    auto wanted = WantedSocket(bind, inherited);
    if (!wanted) return wanted.error();
    sockets.push_back(std::move(*wanted));
  }
  return sockets;
}

}  // namespace

Result<ListenerSet> ListenerSet::Open(const Settings& settings, const ListenerSet& existing,
                                      const InheritedSockets& inherited) {
  const auto owner = FindAccount(settings.user, settings.group, settings.initgroups);
  if (!owner) return owner.error();
  auto sockets = WantedSockets(settings, inherited);
  if (!sockets) return sockets.error();
  ListenerSet set;
  for (Wanted& wanted : *sockets) {
    const bool adopted = wanted.inherited.has_value();
    const auto open = std::find_if(
        existing.listeners_.begin(), existing.listeners_.end(), [&](const auto& listener) {
          return listener->inherited() == adopted && listener->wanted() == wanted.address;
        });
    if (open != existing.listeners_.end()) {
      set.listeners_.push_back(*open);
      continue;
    }
    auto listener = adopted ? inherited.Open(*wanted.inherited)
                            : OpenListener(wanted.address, static_cast<int>(settings.backlog),
                                           static_cast<int>(settings.umask), *owner);
    if (!listener) return listener.error();
    set.listeners_.push_back(
        std::make_shared<BoundListener>(std::move(wanted.address), std::move(*listener), adopted));
  }
  return set;
}

ListenerSetsState ListenerSet::ToState(const std::vector<const ListenerSet*>& sets) {
  ListenerSetsState state;
  std::vector<const BoundListener*> seen;
  for (const ListenerSet* set : sets) {
    std::vector<std::size_t>& indexes = state.sets.emplace_back();
    for (const auto& bound : set->listeners_) {
      const auto found = std::find(seen.begin(), seen.end(), bound.get());
      indexes.push_back(static_cast<std::size_t>(found - seen.begin()));
      if (found != seen.end()) continue;
      seen.push_back(bound.get());
      state.sockets.push_back(bound->ToState());
    }
  }
  return state;
}

std::vector<ListenerSet> ListenerSet::Adopt(const ListenerSetsState& state) {
  std::vector<std::shared_ptr<BoundListener>> bound;
  for (const auto& socket : state.sockets) bound.push_back(std::make_shared<BoundListener>(socket));
  std::vector<ListenerSet> sets;
  for (const auto& indexes : state.sets) {
    ListenerSet& set = sets.emplace_back();
    for (const std::size_t index : indexes) set.listeners_.push_back(bound.at(index));
  }
  return sets;
}

void ListenerSet::StopListening() const {
  for (const auto& bound : listeners_) bound->StopListening();
}

bool ListenerSet::ShutDownEmpty() const {
  bool all = true;
  for (const auto& bound : listeners_) all = bound->ShutDownEmpty() && all;
  return all;
}

void ListenerSet::ShutDown() const {
  for (const auto& bound : listeners_) bound->ShutDown();
}

std::vector<ListenerAddress> ListenerSet::addresses() const {
  std::vector<ListenerAddress> addresses;
  for (const auto& bound : listeners_) addresses.push_back(bound->listener().address);
  return addresses;
}

std::vector<bool> ListenerSet::inherited() const {
  std::vector<bool> inherited;
  for (const auto& bound : listeners_) inherited.push_back(bound->inherited());
  return inherited;
}

std::vector<int> ListenerSet::fds() const {
  std::vector<int> fds;
  for (const auto& bound : listeners_) fds.push_back(bound->listener().fd.get());
  return fds;
}

}  // namespace gunid
