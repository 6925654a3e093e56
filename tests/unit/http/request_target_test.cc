#include "http/request_target.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

TEST(RequestTarget, Splits) {
  struct {
    const char* method;
    const char* target;
    const char* path;
    const char* query;
    const char* authority = "";
  } const cases[] = {
      {"GET", "/", "/", ""},
      {"GET", "/a%2Fb?c=d?e", "/a%2Fb", "c=d?e"},
      {"GET", "/?", "/", ""},
      {"GET", "//a/b", "//a/b", ""},
      {"GET", "/http://a/", "/http://a/", ""},
      {"OPTIONS", "*", "*", ""},
      {"OPTIONS", "/a", "/a", ""},
      {"GET", "/%61%7e%FF", "/%61%7e%FF", ""},
      {"GET", "/a?%%zz%00%4", "/a", "%%zz%00%4"},
      {"GET", "http://a", "/", "", "a"},
      {"GET", "http://a:80/b/c?d", "/b/c", "d", "a:80"},
      {"GET", "HTTPS://a?b/c", "/", "b/c", "a"},
      {"GET", "hTtP://[::1]:/", "/", "", "[::1]:"},
      {"OPTIONS", "http://a/", "/", "", "a"},
  };
  for (const auto& test : cases) {
    const auto split = SplitTarget(test.method, test.target);
    ASSERT_TRUE(split) << test.target;
    EXPECT_EQ(split->path, test.path) << test.target;
    EXPECT_EQ(split->query, test.query) << test.target;
    EXPECT_EQ(split->authority, test.authority) << test.target;
  }
}

TEST(RequestTarget, RefusesOtherForms) {
  struct {
    const char* method;
    const char* target;
  } const cases[] = {{"GET", ""},
                     {"GET", "*"},
                     {"GET", "a"},
                     {"GET", "a:80"},
                     {"GET", "?a"},
                     {"OPTIONS", "**"},
                     {"GET", "ftp://a/"},
                     {"GET", "http:///b"},
                     {"GET", "http://"},
                     {"GET", "http:/a"},
                     {"CONNECT", "a:443"},
                     {"CONNECT", "/"},
                     {"GET", "/a#b"},
                     {"GET", "http://?a"},
                     {"GET", "/a?#"},
                     {"GET", "http://u@a/"},
                     {"GET", "http://u:p@a/"},
                     {"GET", "http://:80/"},
                     {"GET", "http://a:b/"},
                     {"GET", "http://[::g]/"},
                     {"GET", "http://a b/"},
                     {"GET", "http://a\\b/"},
                     {"GET", "/%"},
                     {"GET", "/%4"},
                     {"GET", "/%4g"},
                     {"GET", "/%g4?a"},
                     {"GET", "/a%00"},
                     {"GET", "/%%41"},
                     {"GET", "/a%4?1"},
                     {"GET", "http://a/%zz"},
                     {"OPTIONS", "*?a"},
                     {"options", "*"}};
  for (const auto& test : cases) {
    EXPECT_FALSE(SplitTarget(test.method, test.target)) << test.method << " " << test.target;
  }
}

TEST(RequestTarget, HostAndPort) {
  for (const char* good : {"", "a", "a:", ":80", "a-b.example:65536", "%7e", "a,b;c=d!$&'()*+~_",
                           "[::]", "[::1]:8", "[fe80::1]", "[::ffff:127.0.0.1]"}) {
    EXPECT_TRUE(IsHostAndPort(good)) << good;
  }
  for (const char* bad :
       {"a:b",       "a: 1",
        "a:1:1",     "a/b",
        "%7",        "%7g",
        "%",         "[",
        "[]",        "[::1",
        "::1]",      "[::1]1",
        "[::1]:x",   "[1.2.3.4]",
        "[::1%25a]", "[v7.a]",
        "a@b",       "a b",
        "\x80",      "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"}) {
    EXPECT_FALSE(IsHostAndPort(bad)) << bad;
  }
  EXPECT_FALSE(IsHostAndPort(std::string_view("[::1\0]", 6)));
}

TEST(RequestTarget, PercentDecodes) {
  struct {
    std::string_view text;
    std::string_view decoded;
  } const cases[] = {
      {"", ""},
      {"/a/b", "/a/b"},
      {"%41%6a%6A", "Ajj"},
      {"%", "%"},
      {"%4", "%4"},
      {"%4g%g4%", "%4g%g4%"},
      {"%%41", "%A"},
      {"%2541", "%41"},
      {"a+b", "a+b"},
      {"%c3%A9", "\xc3\xa9"},
      {"%00", std::string_view("\0", 1)},
  };
  for (const auto& test : cases) EXPECT_EQ(PercentDecode(test.text), test.decoded) << test.text;
}

}  // namespace
}  // namespace gunid
