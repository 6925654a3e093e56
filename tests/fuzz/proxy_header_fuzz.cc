// Fuzzes ScanProxyHeader: a connection's first bytes, of which more and more have come.
//
// Input: a byte for the accepted versions, and what the client sends.

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdint>
#include <string>
#include <vector>

#include "http/proxy_header.h"
#include "refusal.h"

namespace gunid {
namespace {

using Outcome = ProxyHeaderScan::Outcome;

// Every prefix up to here is scanned; of longer ones a sample.
constexpr std::size_t kEachPrefix = 300;
constexpr std::size_t kPrefixStep = 101;

// From a heap block of exactly that size, so that the sanitizer sees an over-read.
ProxyHeaderScan Scan(std::string_view input, ProxyProtocol accepted) {
  const std::vector<char> bytes(input.begin(), input.end());
  return ScanProxyHeader({bytes.data(), bytes.size()}, accepted);
}

bool SameEnds(const ProxyHeader& a, const ProxyHeader& b) {
  return a.protocol == b.protocol && a.client_host == b.client_host &&
         a.client_port == b.client_port && a.proxy_host == b.proxy_host &&
         a.proxy_port == b.proxy_port;
}

bool Same(const ProxyHeaderScan& a, const ProxyHeaderScan& b) {
  return a.outcome == b.outcome && a.length == b.length && SameEnds(a.header, b.header) &&
         std::string_view(a.reason) == b.reason;
}

bool IsAddress(const std::string& protocol, const std::string& host) {
  in6_addr address{};
  return inet_pton(protocol == "TCP4" ? AF_INET : AF_INET6, host.c_str(), &address) == 1;
}

bool IsPort(int port) {
  return port >= 0 && port <= 65535;
}

// What was read must be what version 1 says in text.
void CheckRoundTrip(const ProxyHeader& header) {
  const std::string line = "PROXY " + header.protocol + " " + header.client_host + " " +
                           header.proxy_host + " " + std::to_string(header.client_port) + " " +
                           std::to_string(header.proxy_port) + "\r\n";
  const ProxyHeaderScan scan = Scan(line, ProxyProtocol::kV1);
  RequireContract(scan.outcome == Outcome::kAddresses && scan.length == line.size() &&
                      SameEnds(scan.header, header),
                  "the ends of a connection are well-formed");
}

void CheckAddresses(const ProxyHeader& header) {
  RequireContract(header.protocol == "TCP4" || header.protocol == "TCP6", "TCP over IP");
  RequireContract(IsAddress(header.protocol, header.client_host) &&
                      IsAddress(header.protocol, header.proxy_host),
                  "hosts are addresses of the family");
  RequireContract(IsPort(header.client_port) && IsPort(header.proxy_port), "ports have 16 bits");
  CheckRoundTrip(header);
}

void CheckOutcome(std::string_view input, ProxyProtocol accepted, const ProxyHeaderScan& scan) {
  const bool header = scan.outcome == Outcome::kAddresses || scan.outcome == Outcome::kLocal;
  RequireContract(header == (scan.length > 0), "only a header has a length");
  RequireContract(scan.length <= input.size() && scan.length <= kLongestProxyHeader,
                  "a header is part of the input");
  RequireContract(scan.outcome != Outcome::kNeedMore || input.size() < kLongestProxyHeader,
                  "a header ends");
  RequireContract(accepted != ProxyProtocol::kOff || scan.outcome == Outcome::kAbsent,
                  "with the setting off there is none");
  if (scan.outcome == Outcome::kMalformed) RequireCleanReason(scan.reason);
  if (scan.outcome == Outcome::kAddresses) CheckAddresses(scan.header);
}

}  // namespace
}  // namespace gunid

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gunid;
  if (size == 0) return 0;
  const auto accepted = static_cast<ProxyProtocol>(data[0] % 4);
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const ProxyHeaderScan whole = Scan(input, accepted);
  CheckOutcome(input, accepted, whole);
  bool decided = false;
  for (std::size_t end = 0; end < input.size(); end += end < kEachPrefix ? 1 : kPrefixStep) {
    const ProxyHeaderScan scan = Scan(input.substr(0, end), accepted);
    CheckOutcome(input.substr(0, end), accepted, scan);
    decided |= scan.outcome != ProxyHeaderScan::Outcome::kNeedMore;
    RequireContract(!decided || Same(scan, whole), "what has been decided stays");
  }
  return 0;
}
