#include "http/forwarded_headers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gunid {
namespace {

using testing::ElementsAreArray;

using Fields = std::vector<HeaderField>;

RequestHead Head(const Fields& fields) {
  RequestHead head;
  head.method = "GET";
  head.headers = fields;
  return head;
}

std::vector<std::string> Names(const RequestHead& head) {
  std::vector<std::string> names;
  for (const HeaderField& field : head.headers) names.emplace_back(field.name);
  return names;
}

TEST(ForwardedHeaders, TellWhetherTheClientUsesHttps) {
  const struct {
    Fields fields;
    bool secure;
  } cases[] = {
      {{}, false},
      {{{"Host", "example.com"}}, false},
      {{{"X-Forwarded-Proto", "https"}}, true},
      {{{"x-forwarded-proto", "https"}}, true},
      {{{"X-FORWARDED-PROTOCOL", "ssl"}}, true},
      {{{"X-Forwarded-Ssl", "on"}}, true},
      {{{"Host", "a"}, {"X-Forwarded-Proto", "https"}, {"Accept", "*/*"}}, true},
      {{{"X-Forwarded-Proto", "https"}, {"X-Forwarded-Ssl", "on"}}, true},
      {{{"X-Forwarded-Proto", "https"}, {"X-Forwarded-Proto", "https"}}, true},
      {{{"X-Forwarded-Proto", "http"}}, false},
      {{{"X-Forwarded-Proto", "http"}, {"X-Forwarded-Ssl", "off"}}, false},
      {{{"X-Forwarded-Proto", "HTTPS"}}, false},  // values compare exactly
      {{{"X-Forwarded-Proto", "https, http"}}, false},
      {{{"X-Forwarded-Proto", "ssl"}}, false},
      {{{"X-Forwarded-Proto", ""}}, false},
      {{{"X_Forwarded_Proto", "https"}}, false},
      {{{"X-Forwarded-Protos", "https"}}, false},
  };
  for (const auto& [fields, secure] : cases) {
    RequestHead trusted = Head(fields);
    EXPECT_FALSE(ApplyForwarding({}, /*trusted=*/true, trusted));
    EXPECT_EQ(trusted.secure, secure) << testing::PrintToString(Names(trusted));
    RequestHead other = Head(fields);
    EXPECT_FALSE(ApplyForwarding({}, /*trusted=*/false, other));
    EXPECT_FALSE(other.secure);
  }
}

TEST(ForwardedHeaders, SchemesThatContradictAreRefused) {
  const Fields cases[] = {
      {{"X-Forwarded-Proto", "https"}, {"X-Forwarded-Ssl", "off"}},
      {{"X-Forwarded-Ssl", "off"}, {"X-Forwarded-Proto", "https"}},
      {{"X-Forwarded-Proto", "https"}, {"Host", "a"}, {"X-Forwarded-Proto", "http"}},
      {{"X-Forwarded-Protocol", "ssl"}, {"X-Forwarded-Ssl", "on"}, {"X-Forwarded-Proto", "http"}},
  };
  for (const Fields& fields : cases) {
    RequestHead trusted = Head(fields);
    const auto error = ApplyForwarding({}, /*trusted=*/true, trusted);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->status, 400);
    EXPECT_EQ(error->reason, "Contradictory scheme headers");
    RequestHead other = Head(fields);
    EXPECT_FALSE(ApplyForwarding({}, /*trusted=*/false, other));
    EXPECT_EQ(Names(other), Names(Head(fields)));
  }
}

TEST(ForwardedHeaders, SchemeHeadersCanBeChosen) {
  const ForwardingRules rules{.secure_scheme_headers = {{"X-Scheme", "Secure"}}};
  RequestHead head = Head({{"x-scheme", "Secure"}, {"X-Forwarded-Proto", "http"}});
  EXPECT_FALSE(ApplyForwarding(rules, /*trusted=*/true, head));
  EXPECT_TRUE(head.secure);
  const ForwardingRules none{.secure_scheme_headers = {}};
  head = Head({{"X-Forwarded-Proto", "https"}});
  EXPECT_FALSE(ApplyForwarding(none, /*trusted=*/true, head));
  EXPECT_FALSE(head.secure);
}

TEST(ForwardedHeaders, HeaderMapDecidesOnUnderscores) {
  const Fields fields = {{"Host", "a"},       {"X_Tenant", "1"},  {"SCRIPT_NAME", "/app"},
                         {"X-Tenant", "2"},   {"path_info", "/"}, {"_", ""},
                         {"Accept", "text/*"}};
  const std::vector<std::string> all = Names(Head(fields));
  const std::vector<std::string> plain = {"Host", "X-Tenant", "Accept"};
  const std::vector<std::string> forwarded = {"Host", "SCRIPT_NAME", "X-Tenant", "path_info",
                                              "Accept"};
  const std::vector<std::string> tenant = {"Host", "X_Tenant", "X-Tenant", "Accept"};
  const std::vector<std::string> refused = {};
  const struct {
    HeaderMap header_map;
    std::vector<std::string> forwarder_headers;
    bool trusted;
    std::vector<std::string> names;  // that pass; none: the request is refused
  } cases[] = {
      {HeaderMap::kDrop, {"SCRIPT_NAME", "PATH_INFO"}, false, plain},
      {HeaderMap::kDrop, {"SCRIPT_NAME", "PATH_INFO"}, true, forwarded},
      {HeaderMap::kDrop, {"x_tenant"}, true, tenant},
      {HeaderMap::kDrop, {"x_tenant"}, false, plain},
      {HeaderMap::kDrop, {"*"}, true, all},
      {HeaderMap::kDrop, {"*"}, false, plain},
      {HeaderMap::kDrop, {}, true, plain},
      {HeaderMap::kRefuse, {"SCRIPT_NAME", "PATH_INFO"}, false, refused},
      {HeaderMap::kRefuse, {"SCRIPT_NAME", "PATH_INFO"}, true, refused},
      {HeaderMap::kRefuse, {"*"}, true, all},
      {HeaderMap::kRefuse, {"*"}, false, refused},
      {HeaderMap::kDangerous, {}, true, all},
      {HeaderMap::kDangerous, {}, false, all},
  };
  for (const auto& expected : cases) {
    const ForwardingRules rules{expected.header_map, expected.forwarder_headers};
    RequestHead head = Head(fields);
    const auto error = ApplyForwarding(rules, expected.trusted, head);
    EXPECT_EQ(error.has_value(), expected.names.empty());
    if (error) {
      EXPECT_EQ(error->status, 400);
    } else {
      EXPECT_THAT(Names(head), ElementsAreArray(expected.names));
    }
  }
}

TEST(ForwardedHeaders, FindsAnUnderscoreAnywhere) {
  for (std::size_t length = 1; length <= 40; ++length) {
    for (const char filler : {'a', '^', '`', '-'}) {
      const std::string name(length, filler);
      RequestHead plain = Head({{name, "1"}});
      ApplyForwarding({}, /*trusted=*/false, plain);
      EXPECT_EQ(plain.headers.size(), 1u) << name;
      for (std::size_t at = 0; at < length; ++at) {
        std::string with = name;
        with[at] = '_';
        RequestHead head = Head({{with, "1"}});
        ApplyForwarding({}, /*trusted=*/false, head);
        EXPECT_TRUE(head.headers.empty()) << with;
      }
    }
  }
}

TEST(ForwardedHeaders, RefusesNothingWithoutUnderscores) {
  RequestHead head = Head({{"Host", "a"}, {"X-Tenant", "a_b"}});
  EXPECT_FALSE(ApplyForwarding({.header_map = HeaderMap::kRefuse}, /*trusted=*/false, head));
  EXPECT_EQ(head.headers.size(), 2u);
}

TEST(ForwardedHeaders, ScriptNameIsForTrustedPeers) {
  const Fields fields = {{"Host", "a"}, {"script_name", "/app"}};
  const struct {
    HeaderMap header_map;
    std::vector<std::string> forwarder_headers;
    bool trusted;
    std::optional<std::string_view> script_name;
    std::size_t fields;
  } cases[] = {
      {HeaderMap::kDrop, {"SCRIPT_NAME"}, true, "/app", 2},
      {HeaderMap::kDrop, {"PATH_INFO", "Script_Name"}, true, "/app", 2},
      {HeaderMap::kDrop, {"*"}, true, "/app", 2},
      {HeaderMap::kRefuse, {"SCRIPT_NAME"}, true, "/app", 2},
      {HeaderMap::kDangerous, {"SCRIPT_NAME"}, true, "/app", 2},
      {HeaderMap::kDrop, {"SCRIPT_NAME"}, false, std::nullopt, 1},
      {HeaderMap::kDrop, {"PATH_INFO"}, true, std::nullopt, 1},
      {HeaderMap::kDangerous, {"PATH_INFO"}, true, std::nullopt, 2},
      {HeaderMap::kDangerous, {"SCRIPT_NAME"}, false, std::nullopt, 2},
  };
  for (const auto& expected : cases) {
    const ForwardingRules rules{expected.header_map, expected.forwarder_headers};
    RequestHead head = Head(fields);
    ASSERT_FALSE(ApplyForwarding(rules, expected.trusted, head));
    EXPECT_EQ(head.script_name, expected.script_name);
    EXPECT_EQ(head.headers.size(), expected.fields);
  }
  RequestHead dash = Head({{"Script-Name", "/app"}});
  ASSERT_FALSE(ApplyForwarding({}, /*trusted=*/true, dash));
  EXPECT_EQ(dash.script_name, std::nullopt);
  RequestHead empty = Head({{"SCRIPT_NAME", ""}});
  ASSERT_FALSE(ApplyForwarding({}, /*trusted=*/true, empty));
  EXPECT_EQ(empty.script_name, "");
}

TEST(ForwardedHeaders, ScriptNameIsSentOnce) {
  const Fields fields = {{"SCRIPT_NAME", "/a"}, {"Host", "a"}, {"Script_Name", "/a"}};
  RequestHead trusted = Head(fields);
  const auto error = ApplyForwarding({}, /*trusted=*/true, trusted);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->status, 400);
  RequestHead other = Head(fields);
  EXPECT_FALSE(ApplyForwarding({}, /*trusted=*/false, other));
  EXPECT_EQ(Names(other), std::vector<std::string>{"Host"});
}

TEST(ForwardedHeaders, ForgetTheRequestBefore) {
  RequestHead head = Head({{"Host", "a"}});
  head.secure = true;
  head.script_name = "/app";
  EXPECT_FALSE(ApplyForwarding({}, /*trusted=*/false, head));
  EXPECT_FALSE(head.secure);
  EXPECT_EQ(head.script_name, std::nullopt);
}

}  // namespace
}  // namespace gunid
