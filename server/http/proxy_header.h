// The PROXY protocol header, versions 1 and 2, by which a load balancer tells whose connection it
// passes on (HAProxy's proxy-protocol.txt; Gunicorn's --proxy-protocol). A pure function of the
// bytes that a connection begins with; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gunid {

enum class ProxyProtocol { kOff, kV1, kV2, kAuto };

// The ends of the connection between the client and the proxy.
struct ProxyHeader {
  std::string protocol;  // "TCP4" or "TCP6"
  std::string client_host;
  int client_port = 0;
  std::string proxy_host;
  int proxy_port = 0;
};

struct ProxyHeaderScan {
  enum class Outcome {
    kAbsent,     // what has come is no PROXY header of an accepted version, nor the begin of one
    kNeedMore,   // it may become one
    kAddresses,  // a header of `length` bytes; `header` is set
    kLocal,      // a header of `length` bytes without addresses that hold (UNKNOWN, LOCAL, UNSPEC,
                 // and families other than TCP over IP): the connection's own addresses do
    kMalformed,  // see `reason`
  };

  Outcome outcome = Outcome::kAbsent;
  std::size_t length = 0;
  ProxyHeader header;
  const char* reason = "";  // one line; contains no bytes of the input
};

// `input` is all that the connection has received so far. A header is never longer than
// kLongestProxyHeader.
inline constexpr std::size_t kLongestProxyHeader = 16 + 65535;
ProxyHeaderScan ScanProxyHeader(std::string_view input, ProxyProtocol accepted);

}  // namespace gunid
