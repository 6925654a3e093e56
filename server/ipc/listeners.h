// Listening sockets: parsed from `bind`, opened by the supervisor, inherited by every worker.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/account.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace gunid {

struct ListenerAddress {
  enum class Family { kIpv4, kIpv6, kUnix };

  Family family = Family::kIpv4;
  std::string host;  // "127.0.0.1", "::1" without brackets; "" for a Unix socket
  int port = 0;      // 0 asks the kernel for a free one
  std::string path;  // of a Unix socket; "@name" is in the abstract namespace

  bool operator==(const ListenerAddress&) const = default;

  // "http://127.0.0.1:8000", "http://[::1]:8000", "unix:/run/app.sock"
  [[nodiscard]] std::string ToString() const;
};

// HOST, HOST:PORT, :PORT, [IPV6]:PORT, unix:PATH, tcp://HOST:PORT - as Gunicorn's bind; fd://N is
// for ipc/inherited_sockets. Port 8000 if none is given. Host names are resolved, to an IPv4 address
// if there is one.
Result<ListenerAddress> ParseBind(const std::string& bind);

struct Listener {
  ListenerAddress address;  // as bound: with the port that the kernel chose
  UniqueFd fd;              // non-blocking, close-on-exec
  // Inherited from a service manager, who keeps it: what is queued at a stop waits there.
  bool outlives_server = false;
};

// Binds and listens. A Unix path that a living server listens on is refused; a stale one is
// replaced. `umask` (0777 bits) is applied to the mode of a Unix socket, which is
// given to `owner` if there is one.
Result<Listener> OpenListener(const ListenerAddress& address, int backlog, int umask,
                              const std::optional<Account>& owner = std::nullopt);

}  // namespace gunid
