// Taking a request target apart, as CGI and PEP 3333 want it (RFC 3986, RFC 9112 section 3.2).
// Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gunid {

struct RequestTarget {
  std::string_view path;   // still percent-encoded; of an absolute-form target its path; "*" stays
  std::string_view query;  // without '?'
  std::string_view authority;  // of an absolute-form target: the host and perhaps the port
};

// nullopt where the target has none of the forms that the method may have, or its path a broken or
// a NUL escape. Bytes outside visible ASCII are for the caller to refuse.
std::optional<RequestTarget> SplitTarget(std::string_view method, std::string_view target);

// uri-host [":" port], as in a Host field (RFC 9110 section 7.2). It may be empty.
bool IsHostAndPort(std::string_view text);

// Replaces %XX by its byte; anything else, also a broken escape, stays as it is.
std::string PercentDecode(std::string_view text);

}  // namespace gunid
