#include "http/request_line.h"

#include <gtest/gtest.h>

#include <string>

namespace gunid {
namespace {

TEST(RequestLine, Scans) {
  constexpr std::size_t kLongest = 6;
  const struct {
    std::string text;
    RequestLineScan::Outcome outcome;
    std::size_t length;
  } cases[] = {
      {"", RequestLineScan::Outcome::kMore, 0},
      {"abc", RequestLineScan::Outcome::kMore, 3},
      {"\r\n", RequestLineScan::Outcome::kEnd, 2},
      {"a ~!b\r\nrest", RequestLineScan::Outcome::kEnd, 7},
      {"abcdef\r\n", RequestLineScan::Outcome::kEnd, 8},
      {"abcdef\r", RequestLineScan::Outcome::kMore, 7},
      {"abcdefg", RequestLineScan::Outcome::kTooLong, 6},
      {"abcdef\x01", RequestLineScan::Outcome::kBadByte, 6},
      {"ab\ncd", RequestLineScan::Outcome::kBadByte, 2},
      {"ab\rcd", RequestLineScan::Outcome::kBadByte, 3},
      {"ab\r\r\n", RequestLineScan::Outcome::kBadByte, 3},
      {"ab\tcd", RequestLineScan::Outcome::kBadByte, 2},
      {"ab\x7f", RequestLineScan::Outcome::kBadByte, 2},
      {"ab\x80", RequestLineScan::Outcome::kBadByte, 2},
      {std::string("ab\0", 3), RequestLineScan::Outcome::kBadByte, 2},
  };
  for (const auto& test : cases) {
    for (std::size_t seen = 0; seen < test.length; ++seen) {
      const RequestLineScan before = ScanRequestLine({test.text.data(), seen}, 0, kLongest);
      EXPECT_EQ(before.outcome, RequestLineScan::Outcome::kMore) << test.text;
      EXPECT_EQ(before.length, seen) << test.text;
      const RequestLineScan scan = ScanRequestLine(test.text, seen, kLongest);
      EXPECT_EQ(scan.outcome, test.outcome) << test.text;
      EXPECT_EQ(scan.length, test.length) << test.text;
    }
  }
}

// What the line says, or the status with which it is refused.
std::string ParseLine(std::string line, const ParserLaxity& laxity = {}) {
  RequestHead head;
  if (const auto error = ParseRequestLine(line, laxity, head)) return std::to_string(error->status);
  return std::string(head.method) + "|" + std::string(head.target) + "|1." +
         std::to_string(head.minor_version);
}

struct Case {
  const char* line;
  const char* outcome;
};

TEST(RequestLine, Parses) {
  const Case cases[] = {
      {"GET / HTTP/1.1", "GET|/|1.1"},
      {"GET /a?b HTTP/1.0", "GET|/a?b|1.0"},
      {"OPTIONS * HTTP/1.1", "OPTIONS|*|1.1"},
      {"GET http://a/b HTTP/1.1", "GET|http://a/b|1.1"},
      {"", "400"},
      {" ", "400"},
      {"GET", "400"},
      {"GET /", "400"},
      {"GET / ", "400"},
      {"GET  / HTTP/1.1", "400"},
      {"GET /  HTTP/1.1", "400"},
      {" GET / HTTP/1.1", "400"},
      {"GET / HTTP/1.1 ", "400"},
      {"GET / x HTTP/1.1", "400"},
      {"GET HTTP/1.1", "400"},
      // Methods.
      {"FOO / HTTP/1.1", "FOO|/|1.1"},
      {"ABCDEFGHIJKLMNOPQRST / HTTP/1.1", "ABCDEFGHIJKLMNOPQRST|/|1.1"},
      {"ABCDEFGHIJKLMNOPQRSTU / HTTP/1.1", "400"},
      {"GE / HTTP/1.1", "400"},
      {"GeT / HTTP/1.1", "400"},
      {"G#T / HTTP/1.1", "400"},
      {"G(T / HTTP/1.1", "400"},
      {"CONNECT a:443 HTTP/1.1", "501"},
      {"CONNECT / HTTP/1.1", "501"},
      // Versions.
      {"GET / HTTP/1.2", "GET|/|1.1"},
      {"GET / HTTP/1.9", "GET|/|1.1"},
      {"GET / HTTP/0.9", "505"},
      {"GET / HTTP/2.0", "505"},
      {"GET / HTTP/9.9", "505"},
      {"GET / HTTP/1", "400"},
      {"GET / HTTP/1.", "400"},
      {"GET / HTTP/11", "400"},
      {"GET / HTTP/1.10", "400"},
      {"GET / HTTP/1.1x", "400"},
      {"GET / HTTP/1,1", "400"},
      {"GET / HTTP/x.1", "400"},
      {"GET / HTTP/1.x", "400"},
      {"GET / http/1.1", "400"},
      {"GET / HTTP 1.1", "400"},
      {"GET / RTSP/1.0", "400"},
      // Targets: request_target_test.cc.
      {"GET * HTTP/1.1", "400"},
      {"GET a HTTP/1.1", "400"},
      {"GET /#a HTTP/1.1", "400"},
      {"GET /%zz HTTP/1.1", "400"},
      {"GET http://u@a/ HTTP/1.1", "400"},
  };
  for (const Case& test : cases) EXPECT_EQ(ParseLine(test.line), test.outcome) << test.line;
}

TEST(RequestLine, PermitsUnconventionalMethods) {
  const ParserLaxity laxity{.permit_unconventional_http_method = true};
  const Case cases[] = {
      {"get / HTTP/1.1", "get|/|1.1"},
      {"G / HTTP/1.1", "G|/|1.1"},
      {"G#T / HTTP/1.1", "G#T|/|1.1"},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1", "ABCDEFGHIJKLMNOPQRSTUVWXYZ|/|1.1"},
      {"G(T / HTTP/1.1", "400"},
      {" / HTTP/1.1", "400"},
      {"CONNECT / HTTP/1.1", "501"},
      {"connect / HTTP/1.1", "connect|/|1.1"},
      {"options * HTTP/1.1", "400"},
      {"get / HTTP/2.0", "505"},
  };
  for (const Case& test : cases) EXPECT_EQ(ParseLine(test.line, laxity), test.outcome) << test.line;
}

TEST(RequestLine, FoldsTheCaseOfMethods) {
  const ParserLaxity laxity{.casefold_http_method = true};
  const Case cases[] = {
      {"get /a HTTP/1.1", "GET|/a|1.1"},
      {"pAtCh-2 / HTTP/1.1", "PATCH-2|/|1.1"},
      {"options * HTTP/1.1", "OPTIONS|*|1.1"},
      {"connect a:443 HTTP/1.1", "501"},
      {"ge / HTTP/1.1", "400"},
      {"g#t / HTTP/1.1", "400"},
      {"get / http/1.1", "400"},
  };
  for (const Case& test : cases) EXPECT_EQ(ParseLine(test.line, laxity), test.outcome) << test.line;
}

TEST(RequestLine, PermitsUnconventionalVersions) {
  const ParserLaxity laxity{.permit_unconventional_http_version = true};
  const Case cases[] = {
      {"GET / HTTP/0.0", "GET|/|1.0"}, {"GET / HTTP/0.9", "GET|/|1.0"},
      {"GET / HTTP/1.0", "GET|/|1.0"}, {"GET / HTTP/1.7", "GET|/|1.1"},
      {"GET / HTTP/2.0", "GET|/|1.1"}, {"GET / HTTP/9.9", "GET|/|1.1"},
      {"GET / HTTP/1", "400"},         {"GET / HTTP/1.10", "400"},
      {"GET / http/1.1", "400"},       {"get / HTTP/1.1", "400"},
  };
  for (const Case& test : cases) EXPECT_EQ(ParseLine(test.line, laxity), test.outcome) << test.line;
}

TEST(RequestLine, LaxitiesOfMethodAndVersionCombine) {
  const ParserLaxity laxity{.permit_unconventional_http_method = true,
                            .permit_unconventional_http_version = true,
                            .casefold_http_method = true};
  EXPECT_EQ(ParseLine("a#z / HTTP/3.1", laxity), "A#Z|/|1.1");
  EXPECT_EQ(ParseLine("connect / HTTP/3.1", laxity), "501");
  EXPECT_EQ(ParseLine("get a HTTP/3.1", laxity), "400");
}

}  // namespace
}  // namespace gunid
