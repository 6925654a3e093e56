#include "http/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <iterator>
#include <optional>

namespace gunid {
namespace {

using Outcome = ProxyHeaderScan::Outcome;

constexpr std::string_view kV1Start = "PROXY ";
constexpr std::size_t kLongestV1 = 107;
constexpr std::string_view kV2Start("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kV2FixedSize = 16;

// What the first byte after the start and the second say, in four bits each.
constexpr unsigned kVersion2 = 2;
constexpr unsigned kCommandLocal = 0;
constexpr unsigned kCommandProxy = 1;
constexpr unsigned kTransportStream = 1;
constexpr unsigned kTransportDatagram = 2;

// The address families of version 2, by their number. A block has two addresses, and for IP two
// ports after them.
struct Family {
  const char* protocol;  // as version 1 calls it over TCP; nullptr: not an IP family
  int family;
  std::size_t address_size;
  std::size_t block_size;
};
constexpr Family kFamilies[] = {{nullptr, AF_UNSPEC, 0, 0},
                                {"TCP4", AF_INET, 4, 12},
                                {"TCP6", AF_INET6, 16, 36},
                                {nullptr, AF_UNIX, 108, 216}};

ProxyHeaderScan NeedMore() {
  return {.outcome = Outcome::kNeedMore};
}

ProxyHeaderScan Local(std::size_t length) {
  return {.outcome = Outcome::kLocal, .length = length};
}

ProxyHeaderScan Malformed(const char* reason) {
  return {.outcome = Outcome::kMalformed, .reason = reason};
}

std::string AddressText(int family, const void* address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family, address, text, sizeof text);
  return text;
}

// The usual form of an address in text, so that both versions give a client the same name.
std::optional<std::string> NormalAddress(int family, std::string_view text) {
  in6_addr address{};
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  if (inet_pton(family, std::string(text).c_str(), &address) != 1) return std::nullopt;
  return AddressText(family, &address);
}

std::optional<int> ParsePort(std::string_view text) {
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc() || stop != end) return std::nullopt;
  return port;
}

// Takes the text before the first space off `rest`, and the space.
std::string_view TakeWord(std::string_view& rest) {
  const std::string_view word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(std::min(word.size() + 1, rest.size()));
  return word;
}

// `ends`: what follows the protocol and its space. A wrong number of words or spaces makes one of
// the words no address or port.
ProxyHeaderScan ScanV1Ends(const Family& family, std::string_view ends, std::size_t length) {
  const auto client_host = NormalAddress(family.family, TakeWord(ends));
  const auto proxy_host = NormalAddress(family.family, TakeWord(ends));
  if (!client_host || !proxy_host) return Malformed("Invalid address in the PROXY line");
  const auto client_port = ParsePort(TakeWord(ends));
  const auto proxy_port = ParsePort(ends);
  if (!client_port || !proxy_port) return Malformed("Invalid port in the PROXY line");
  return {.outcome = Outcome::kAddresses,
          .length = length,
          .header = {family.protocol, *client_host, *client_port, *proxy_host, *proxy_port}};
}

ProxyHeaderScan ScanV1(std::string_view input) {
  const std::size_t end = input.substr(0, kLongestV1).find("\r\n");
  if (end == std::string_view::npos)
    return input.size() < kLongestV1 ? NeedMore() : Malformed("The PROXY line is too long");
  const std::size_t length = end + 2;
  std::string_view rest = input.substr(0, end);
  rest.remove_prefix(kV1Start.size());
  const std::string_view protocol = TakeWord(rest);
  if (protocol == "UNKNOWN") return Local(length);
  for (const Family& family : kFamilies) {
    if (family.protocol != nullptr && protocol == family.protocol)
      return ScanV1Ends(family, rest, length);
  }
  return Malformed("Unknown protocol in the PROXY line");
}

unsigned Byte(std::string_view input, std::size_t at) {
  return static_cast<unsigned char>(input[at]);
}

int Port(std::string_view input, std::size_t at) {
  return static_cast<int>(Byte(input, at) << 8 | Byte(input, at + 1));
}

// `block`: the addresses and ports. It may go on with other data.
ProxyHeader V2Ends(const Family& family, std::string_view block) {
  const std::size_t size = family.address_size;
  return {family.protocol, AddressText(family.family, block.data()), Port(block, 2 * size),
          AddressText(family.family, block.data() + size), Port(block, 2 * size + 2)};
}

ProxyHeaderScan ScanV2(std::string_view input) {
  if (input.size() < kV2FixedSize) return NeedMore();
  const unsigned command = Byte(input, 12) & 15;
  if (Byte(input, 12) >> 4 != kVersion2) return Malformed("Unknown version of the PROXY header");
  if (command > kCommandProxy) return Malformed("Unknown command in the PROXY header");

  const std::size_t size = Byte(input, 14) << 8 | Byte(input, 15);
  const std::size_t length = kV2FixedSize + size;
  if (command == kCommandLocal) return input.size() < length ? NeedMore() : Local(length);

  const unsigned number = Byte(input, 13) >> 4;
  const unsigned transport = Byte(input, 13) & 15;
  if (number >= std::size(kFamilies) || transport > kTransportDatagram)
    return Malformed("Unknown protocol in the PROXY header");
  const Family& family = kFamilies[number];
  if (size < family.block_size) return Malformed("The PROXY header is too short for its addresses");
  if (input.size() < length) return NeedMore();
  if (family.protocol == nullptr || transport != kTransportStream) return Local(length);
  return {.outcome = Outcome::kAddresses,
          .length = length,
          .header = V2Ends(family, input.substr(kV2FixedSize))};
}

// How a version of the header begins, and what reads it from there.
struct Version {
  ProxyProtocol mode;
  std::string_view start;
  ProxyHeaderScan (*scan)(std::string_view input);
};
constexpr Version kVersions[] = {{ProxyProtocol::kV1, kV1Start, ScanV1},
                                 {ProxyProtocol::kV2, kV2Start, ScanV2}};

}  // namespace

ProxyHeaderScan ScanProxyHeader(std::string_view input, ProxyProtocol accepted) {
  for (const Version& version : kVersions) {
    if (accepted != version.mode && accepted != ProxyProtocol::kAuto) continue;
    if (input.starts_with(version.start)) return version.scan(input);
    if (version.start.starts_with(input)) return NeedMore();
  }
  return {};
}

}  // namespace gunid
