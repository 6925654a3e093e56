#include "supervisor/listener_set.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

namespace gunid {

class BoundListener {
 public:
  BoundListener(ListenerAddress wanted, Listener listener, bool inherited)
      : wanted_(std::move(wanted)), listener_(std::move(listener)), inherited_(inherited) {
    if (HasPath()) stat(listener_.address.path.c_str(), &made_);
  }
  ~BoundListener() {
    struct stat now {};
    if (!inherited_ && HasPath() && stat(listener_.address.path.c_str(), &now) == 0 &&
        now.st_ino == made_.st_ino && now.st_dev == made_.st_dev) {
      unlink(listener_.address.path.c_str());
    }
  }
  BoundListener(const BoundListener&) = delete;
  BoundListener& operator=(const BoundListener&) = delete;

  // As in the settings: port 0 stays 0.
  [[nodiscard]] const ListenerAddress& wanted() const { return wanted_; }
  [[nodiscard]] const Listener& listener() const { return listener_; }
  [[nodiscard]] bool inherited() const { return inherited_; }

 private:
  [[nodiscard]] bool HasPath() const {
    return listener_.address.family == ListenerAddress::Family::kUnix &&
           !listener_.address.path.starts_with('@');
  }

  ListenerAddress wanted_;
  Listener listener_;
  bool inherited_;
  struct stat made_ {};
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

void ListenerSet::ShutDown() const {
  for (const auto& bound : listeners_) {
    if (!bound->inherited()) shutdown(bound->listener().fd.get(), SHUT_RDWR);
  }
}

std::vector<ListenerAddress> ListenerSet::addresses() const {
  std::vector<ListenerAddress> addresses;
  for (const auto& bound : listeners_) addresses.push_back(bound->listener().address);
  return addresses;
}

std::vector<int> ListenerSet::fds() const {
  std::vector<int> fds;
  for (const auto& bound : listeners_) fds.push_back(bound->listener().fd.get());
  return fds;
}

}  // namespace gunid
