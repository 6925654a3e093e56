#include "base/ip_network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <string>

namespace gunid {
namespace {

using Bytes = std::array<std::uint8_t, 16>;

constexpr std::string_view kBlanks = " \t\r\n\v\f";
constexpr int kAllBits = 128;
constexpr int kIpv4Bits = 32;

Bytes Mapped(const in_addr& ipv4) {
  Bytes bytes{};
  bytes[10] = bytes[11] = 0xff;
  std::memcpy(&bytes[12], &ipv4, sizeof ipv4);
  return bytes;
}

bool SamePrefix(const Bytes& a, const Bytes& b, int bits) {
  const int whole = bits / 8;
  const int rest = bits % 8;
  return std::equal(a.begin(), a.begin() + whole, b.begin()) &&
         (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

// Whether any bit after the first `bits` is set.
bool HasHostBits(const Bytes& bytes, int bits) {
  for (int bit = bits; bit < kAllBits; ++bit) {
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return true;
  }
  return false;
}

std::string_view Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// On one line, whatever the entry holds.
Error InvalidEntry(std::string_view entry, const std::string& what) {
  std::string shown(entry);
  std::ranges::replace_if(
      shown, [](char c) { return c < ' ' || c > '~'; }, '?');
  return Error{"'" + shown + "' " + what};
}

std::optional<int> ParseLength(std::string_view text, int longest) {
  int length = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, length);
  if (error != std::errc() || stop != end || length < 0 || length > longest) return std::nullopt;
  return length;
}

}  // namespace

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  IpAddress address;
  in_addr ipv4{};
  if (inet_pton(AF_INET, terminated.c_str(), &ipv4) == 1) {
    address.bytes_ = Mapped(ipv4);
  } else if (inet_pton(AF_INET6, terminated.c_str(), address.bytes_.data()) != 1) {
    return std::nullopt;
  }
  return address;
}

std::optional<IpAddress> IpAddress::Of(const sockaddr* address) {
  IpAddress result;
  if (address->sa_family == AF_INET) {
    sockaddr_in ipv4{};
    std::memcpy(&ipv4, address, sizeof ipv4);
    result.bytes_ = Mapped(ipv4.sin_addr);
  } else if (address->sa_family == AF_INET6) {
    sockaddr_in6 ipv6{};
    std::memcpy(&ipv6, address, sizeof ipv6);
    std::memcpy(result.bytes_.data(), &ipv6.sin6_addr, sizeof ipv6.sin6_addr);
  } else {
    return std::nullopt;
  }
  return result;
}

Result<IpNetworks> IpNetworks::Parse(std::string_view list) {
  IpNetworks networks;
  if (Trim(list).empty()) return networks;
  while (true) {
    const std::size_t comma = list.find(',');
    const Result<Network> network = ParseNetwork(Trim(list.substr(0, comma)));
    if (!network) return network.error();
    networks.networks_.push_back(*network);
    if (comma == std::string_view::npos) return networks;
    list.remove_prefix(comma + 1);
  }
}

Result<IpNetworks::Network> IpNetworks::ParseNetwork(std::string_view entry) {
  if (entry == "*") return Network{{}, 0};
  const std::size_t slash = entry.find('/');
  const std::string_view host = entry.substr(0, slash);
  const std::optional<IpAddress> address = IpAddress::Parse(host);
  if (!address) return InvalidEntry(entry, "is not an IP address or network");

  const int width = host.find(':') == std::string_view::npos ? kIpv4Bits : kAllBits;
  const std::optional<int> length =
      slash == std::string_view::npos ? width : ParseLength(entry.substr(slash + 1), width);
  if (!length) return InvalidEntry(entry, "has no prefix length of 0 to " + std::to_string(width));
  const Network network{*address, kAllBits - width + *length};
  if (HasHostBits(address->bytes_, network.bits)) return InvalidEntry(entry, "has host bits set");
  return network;
}

bool IpNetworks::Contains(const IpAddress& address) const {
  return std::ranges::any_of(networks_, [&](const Network& network) {
    return SamePrefix(network.address.bytes_, address.bytes_, network.bits);
  });
}

}  // namespace gunid
