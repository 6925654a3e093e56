#include "supervisor/listener_set.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace gunid {

class BoundListener {
 public:
  BoundListener(ListenerAddress wanted, Listener listener)
      : wanted_(std::move(wanted)), listener_(std::move(listener)) {
    if (HasPath()) stat(listener_.address.path.c_str(), &made_);
  }
  ~BoundListener() {
    struct stat now {};
    if (HasPath() && stat(listener_.address.path.c_str(), &now) == 0 &&
        now.st_ino == made_.st_ino && now.st_dev == made_.st_dev) {
      unlink(listener_.address.path.c_str());
    }
  }
  BoundListener(const BoundListener&) = delete;
  BoundListener& operator=(const BoundListener&) = delete;

  // As in the settings: port 0 stays 0.
  [[nodiscard]] const ListenerAddress& wanted() const { return wanted_; }
  [[nodiscard]] const Listener& listener() const { return listener_; }

 private:
  [[nodiscard]] bool HasPath() const {
    return listener_.address.family == ListenerAddress::Family::kUnix &&
           !listener_.address.path.starts_with('@');
  }

  ListenerAddress wanted_;
  Listener listener_;
  struct stat made_ {};
};

Result<ListenerSet> ListenerSet::Open(const Settings& settings, const ListenerSet& existing) {
  ListenerSet set;
  for (const std::string& bind : settings.bind) {
    auto address = ParseBind(bind);
    if (!address) return address.error();
    const auto open =
        std::find_if(existing.listeners_.begin(), existing.listeners_.end(),
                     [&](const auto& listener) { return listener->wanted() == *address; });
    if (open != existing.listeners_.end()) {
      set.listeners_.push_back(*open);
      continue;
    }
    auto listener = OpenListener(*address, static_cast<int>(settings.backlog),
                                 static_cast<int>(settings.umask));
    if (!listener) return listener.error();
    set.listeners_.push_back(
        std::make_shared<BoundListener>(std::move(*address), std::move(*listener)));
  }
  return set;
}

void ListenerSet::ShutDown() const {
  for (const auto& bound : listeners_) shutdown(bound->listener().fd.get(), SHUT_RDWR);
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
