// How a ListenerAddress is written where it crosses a process border.
#pragma once

#include <nlohmann/json.hpp>

#include "ipc/listeners.h"

namespace gunid {

NLOHMANN_JSON_SERIALIZE_ENUM(ListenerAddress::Family, {{ListenerAddress::Family::kIpv4, "ipv4"},
                                                       {ListenerAddress::Family::kIpv6, "ipv6"},
                                                       {ListenerAddress::Family::kUnix, "unix"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ListenerAddress, family, host, port, path)

}  // namespace gunid
