// A parsed request line with its header fields. All views point into the bytes that the parser was
// fed; whoever owns that buffer keeps it until the exchange is over.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "http/request_target.h"

namespace gunid {

struct HeaderField {
  std::string_view name;  // as sent
  std::string_view value;
};

struct RequestHead {
  std::string_view method;
  std::string_view target;           // as sent: origin-form, absolute-form or "*"
  RequestTarget parts;               // of the target
  int minor_version = 1;             // HTTP/1.0 or HTTP/1.1
  std::vector<HeaderField> headers;  // Host has the authority of an absolute-form target

  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = false;       // what the client asks for, by its version and Connection field
  bool expect_continue = false;  // HTTP/1.1 only

  // What a trusted proxy says (http/forwarded_headers.h).
  bool secure = false;                          // its client uses https
  std::optional<std::string_view> script_name;  // where the application is mounted

  [[nodiscard]] bool has_body() const { return chunked || content_length.value_or(0) > 0; }

  // For logs and displays: the query may hold secrets.
  [[nodiscard]] std::string_view TargetWithoutQuery() const {
    return target.substr(0, target.find('?'));
  }
  // The first field of that name (case-insensitive), or nullopt.
  [[nodiscard]] std::optional<std::string_view> Find(std::string_view name) const;
};

}  // namespace gunid
