// Taking a request target apart, as CGI and PEP 3333 want it (RFC 3986, RFC 9112 section 3.2).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gunid {

struct RequestTarget {
  std::string_view path;   // still percent-encoded; of an absolute-form target its path; "*" stays
  std::string_view query;  // without '?'
};

// nullopt where the target has none of the forms that the method may have.
std::optional<RequestTarget> SplitTarget(std::string_view method, std::string_view target);

// Replaces %XX by its byte; anything else, also a broken escape, stays as it is.
std::string PercentDecode(std::string_view text);

}  // namespace gunid
