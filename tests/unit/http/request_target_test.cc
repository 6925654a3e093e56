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
  } const cases[] = {
      {"GET", "/", "/", ""},
      {"GET", "/a%2Fb?c=d?e", "/a%2Fb", "c=d?e"},
      {"GET", "/?", "/", ""},
      {"GET", "//a/b", "//a/b", ""},
      {"GET", "/http://a/", "/http://a/", ""},
      {"OPTIONS", "*", "*", ""},
      {"OPTIONS", "/a", "/a", ""},
      {"GET", "http://a", "/", ""},
      {"GET", "http://a:80/b/c?d", "/b/c", "d"},
      {"GET", "HTTPS://a?b/c", "/", "b/c"},
  };
  for (const auto& test : cases) {
    const auto split = SplitTarget(test.method, test.target);
    ASSERT_TRUE(split) << test.target;
    EXPECT_EQ(split->path, test.path) << test.target;
    EXPECT_EQ(split->query, test.query) << test.target;
  }
}

TEST(RequestTarget, RefusesOtherForms) {
  struct {
    const char* method;
    const char* target;
  } const cases[] = {{"GET", ""},         {"GET", "*"},         {"GET", "a"},
                     {"GET", "a:80"},     {"GET", "?a"},        {"OPTIONS", "**"},
                     {"GET", "ftp://a/"}, {"GET", "http:///b"}, {"GET", "http://"},
                     {"GET", "http:/a"},  {"CONNECT", "a:443"}, {"CONNECT", "/"},
                     {"GET", "/a#b"},     {"GET", "http://?a"}};
  for (const auto& test : cases) {
    EXPECT_FALSE(SplitTarget(test.method, test.target)) << test.method << " " << test.target;
  }
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
