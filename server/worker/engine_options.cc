#include "worker/engine_options.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/field_syntax.h"

namespace gunid {
namespace {

template <class Choice>
Choice ChoiceOf(std::string_view text,
                std::initializer_list<std::pair<std::string_view, Choice>> choices) {
  for (const auto& [name, choice] : choices) {
    if (name == text) return choice;
  }
  return choices.begin()->second;  // the settings table lets no other text through
}

std::vector<std::string> SplitNames(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view name = TrimWhitespace(list.substr(0, comma));
    if (!name.empty()) names.emplace_back(name);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return names;
}

// The settings table has judged the list already.
IpNetworks NetworksOf(const std::string& list) {
  Result<IpNetworks> networks = IpNetworks::Parse(list);
  return networks ? std::move(*networks) : IpNetworks();
}

ForwardingRules ForwardingRulesFrom(const Settings& settings) {
  return {.header_map =
              ChoiceOf<HeaderMap>(settings.header_map, {{"drop", HeaderMap::kDrop},
                                                        {"refuse", HeaderMap::kRefuse},
                                                        {"dangerous", HeaderMap::kDangerous}}),
          .forwarder_headers = SplitNames(settings.forwarder_headers),
          .secure_scheme_headers = {settings.secure_scheme_headers.begin(),
                                    settings.secure_scheme_headers.end()}};
}

// A connection needs its socket, and for a large body or response a file. Raises the limit of open
// files to that, and not to more: programs that use select(2) break on descriptors beyond 1023.
// Returns how many connections the limit allows, with some left for everything else.
int AllowedConnections(std::int64_t wanted) {
  constexpr rlim_t kForTheApplication = 512;
  constexpr rlim_t kMaxConnections = std::numeric_limits<int>::max();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return static_cast<int>(wanted);
  const rlim_t needed =
      std::min(limit.rlim_max, 2 * static_cast<rlim_t>(wanted) + kForTheApplication);
  if (needed > limit.rlim_cur) {
    limit.rlim_cur = needed;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  const rlim_t reserve = std::min(kForTheApplication, limit.rlim_cur / 2);
  const auto allowed =
      static_cast<std::int64_t>(std::clamp<rlim_t>(limit.rlim_cur - reserve, 1, kMaxConnections));
  if (allowed >= wanted) return static_cast<int>(wanted);
  spdlog::warn("worker_connections is {}, but the limit of {} open files allows {} only", wanted,
               limit.rlim_cur, allowed);
  return static_cast<int>(allowed);
}

}  // namespace

EngineOptions EngineOptionsFrom(const Settings& settings) {
  return {
      .limits = {.line = static_cast<std::size_t>(settings.limit_request_line),
                 .fields = static_cast<std::size_t>(settings.limit_request_fields),
                 .field_size = static_cast<std::size_t>(settings.limit_request_field_size),
                 .body = static_cast<std::uint64_t>(settings.limit_request_body)},
      .laxity = {.permit_obsolete_folding = settings.permit_obsolete_folding,
                 .strip_header_spaces = settings.strip_header_spaces,
                 .permit_unconventional_http_method = settings.permit_unconventional_http_method,
                 .permit_unconventional_http_version = settings.permit_unconventional_http_version,
                 .casefold_http_method = settings.casefold_http_method},
      .forwarding = ForwardingRulesFrom(settings),
      .forwarders = NetworksOf(settings.forwarded_allow_ips),
      .proxy_protocol =
          ChoiceOf<ProxyProtocol>(settings.proxy_protocol, {{"off", ProxyProtocol::kOff},
                                                            {"v1", ProxyProtocol::kV1},
                                                            {"v2", ProxyProtocol::kV2},
                                                            {"auto", ProxyProtocol::kAuto}}),
      .proxies = NetworksOf(settings.proxy_allow_ips),
      .max_connections = AllowedConnections(settings.worker_connections),
      .keepalive_s = settings.keepalive,
      .head_s = settings.header_timeout,
      .body_s = settings.body_timeout,
      .write_s = settings.send_timeout,
      .response_buffer_limit = static_cast<std::uint64_t>(settings.limit_response_buffer),
      .health_check = settings.health_check,
  };
}

}  // namespace gunid
