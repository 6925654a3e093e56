// Internet addresses and lists of networks, as in forwarded_allow_ips. Values; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"

struct sockaddr;

namespace gunid {

// An IPv4 address is kept as the IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), so that a
// client is the same whether it comes in over an IPv4 or a dual-stack socket.
class IpAddress {
 public:
  // "192.0.2.1", "2001:db8::1" (no brackets, no zone, no port); nullopt if it is neither.
  static std::optional<IpAddress> Parse(std::string_view text);
  // nullopt for other families.
  static std::optional<IpAddress> Of(const sockaddr* address);

  bool operator==(const IpAddress&) const = default;

 private:
  friend class IpNetworks;
  std::array<std::uint8_t, 16> bytes_{};
};

class IpNetworks {
 public:
  // Addresses and CIDR networks separated by commas (blanks round them are ignored), "*" for all
  // addresses, "" for none. As in Python's ipaddress (strict), a network has no host bits set.
  // "::/0" holds the IPv4 addresses, too, as they are kept as IPv6. The error names the entry that
  // is wrong, on one line.
  static Result<IpNetworks> Parse(std::string_view list);

  [[nodiscard]] bool Contains(const IpAddress& address) const;

 private:
  struct Network {
    IpAddress address;
    int bits;  // of the 128
  };
  static Result<Network> ParseNetwork(std::string_view entry);

  std::vector<Network> networks_;
};

}  // namespace gunid
