// Basic authentication (RFC 7617), as far as a log needs it. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gunid {

// The user of an Authorization field; nullopt if it has another scheme or is malformed.
std::optional<std::string> BasicAuthUser(std::string_view authorization);

}  // namespace gunid
