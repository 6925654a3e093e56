#include "worker/engine_options.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace gunid {
namespace {

TEST(EngineOptions, OfTheDefaultsAreTheEnginesOwn) {
  const EngineOptions options = EngineOptionsFrom(Settings());
  const EngineOptions own;
  EXPECT_EQ(options.limits.line, own.limits.line);
  EXPECT_EQ(options.limits.body, own.limits.body);
  EXPECT_EQ(options.forwarding.header_map, own.forwarding.header_map);
  EXPECT_EQ(options.forwarding.forwarder_headers, own.forwarding.forwarder_headers);
  EXPECT_EQ(options.proxy_protocol, own.proxy_protocol);
  EXPECT_EQ(options.max_connections, own.max_connections);
  EXPECT_EQ(options.head_s, own.head_s);
  EXPECT_EQ(options.body_s, own.body_s);
  EXPECT_EQ(options.write_s, own.write_s);
  EXPECT_EQ(options.response_buffer_limit, own.response_buffer_limit);
}

TEST(EngineOptions, TakeWhatIsSet) {
  Settings settings;
  settings.limit_request_body = 7;
  settings.limit_response_buffer = 8;
  settings.strip_header_spaces = true;
  settings.header_map = "refuse";
  settings.forwarder_headers = " X_A , ,X_B";
  settings.secure_scheme_headers = {{"X-SECURE", "1"}};
  settings.forwarded_allow_ips = "192.0.2.0/24";
  settings.proxy_protocol = "v2";
  settings.proxy_allow_ips = "*";
  const EngineOptions options = EngineOptionsFrom(settings);
  EXPECT_EQ(options.limits.body, 7U);
  EXPECT_EQ(options.response_buffer_limit, 8U);
  EXPECT_TRUE(options.laxity.strip_header_spaces);
  EXPECT_FALSE(options.laxity.casefold_http_method);
  EXPECT_EQ(options.forwarding.header_map, HeaderMap::kRefuse);
  EXPECT_EQ(options.forwarding.forwarder_headers, (std::vector<std::string>{"X_A", "X_B"}));
  ASSERT_EQ(options.forwarding.secure_scheme_headers.size(), 1U);
  EXPECT_EQ(options.forwarding.secure_scheme_headers[0].first, "X-SECURE");
  EXPECT_EQ(options.proxy_protocol, ProxyProtocol::kV2);
  const IpAddress inside = *IpAddress::Parse("192.0.2.9");
  const IpAddress outside = *IpAddress::Parse("198.51.100.1");
  EXPECT_TRUE(options.forwarders.Contains(inside));
  EXPECT_FALSE(options.forwarders.Contains(outside));
  EXPECT_TRUE(options.proxies.Contains(outside));
}

TEST(EngineOptions, RaiseTheLimitOfOpenFilesAndStayBelowIt) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{256, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  Settings settings;
  settings.worker_connections = 300;
  EXPECT_EQ(EngineOptionsFrom(settings).max_connections, 300);
  rlimit after{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, std::min<rlim_t>(before.rlim_max, 2 * 300 + 512));
  settings.worker_connections = 1'000'000'000;
  const int most = EngineOptionsFrom(settings).max_connections;
  EXPECT_GT(most, 0);
  EXPECT_LT(static_cast<rlim_t>(most), before.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace gunid
