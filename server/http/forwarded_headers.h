// What the header fields of a request may say about the client's side of a proxy, and which fields
// with an underscore in their name may reach the application (Gunicorn's header_map,
// forwarder_headers, secure_scheme_headers). Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/request_head.h"
#include "http/request_parser.h"

namespace gunid {

// A name with an underscore becomes the same environ key as the name with a dash.
enum class HeaderMap { kDrop, kRefuse, kDangerous };

struct ForwardingRules {
  HeaderMap header_map = HeaderMap::kDrop;
  // Names with an underscore that a trusted peer may send, compared without regard to case; "*" for
  // all.
  std::vector<std::string> forwarder_headers{"SCRIPT_NAME", "PATH_INFO"};
  // Name and value by which a trusted peer says that its client uses https. Names compare without
  // regard to case, values exactly. Any other value of such a field says http.
  std::vector<std::pair<std::string, std::string>> secure_scheme_headers{
      {"X-FORWARDED-PROTOCOL", "ssl"}, {"X-FORWARDED-PROTO", "https"}, {"X-FORWARDED-SSL", "on"}};
};

// Removes from `head` the fields that the application is not to see and sets its `secure` and
// `script_name`. `trusted`: the peer of the connection is in forwarded_allow_ips, or the listener
// is a Unix socket; from others SCRIPT_NAME and the scheme headers have no effect (they stay plain
// header fields where the header map lets them pass). An error is for the client:
// 400 for an underscore that is refused, or for scheme headers that contradict each other.
std::optional<RequestParser::ParseError> ApplyForwarding(const ForwardingRules& rules, bool trusted,
                                                         RequestHead& head);

}  // namespace gunid
