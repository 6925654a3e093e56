#include "http/line_scanner.h"

#include <gtest/gtest.h>

#include <string>

namespace gunid {
namespace {

using Outcome = LineScanner::Outcome;

struct Case {
  const char* text;
  Outcome outcome;
  std::size_t length;  // scanned
};

constexpr RequestLimits kLimits{.line = 5, .fields = 2, .field_size = 8};

// In one piece, and then byte by byte: the same place must be reached with the same outcome.
void ExpectScan(const Case& test, void (LineScanner::*start)()) {
  const std::string_view text(test.text);
  LineScanner scanner(kLimits);
  (scanner.*start)();
  const LineScanner::Scan whole = scanner.Advance(text);
  EXPECT_EQ(whole.outcome, test.outcome) << text;
  EXPECT_EQ(whole.length, test.length) << text;

  (scanner.*start)();
  std::size_t length = 0;
  LineScanner::Scan step{Outcome::kMore, 0};
  while (length < text.size() && step.outcome == Outcome::kMore) {
    step = scanner.Advance(text.substr(length, 1));
    length += step.length;
  }
  EXPECT_EQ(step.outcome, test.outcome) << text;
  EXPECT_EQ(length, test.length) << text;
}

TEST(LineScanner, Heads) {
  const Case cases[] = {
      {"", Outcome::kMore, 0},
      {"12345\r\n123456\r\n123456\r\n\r\nrest", Outcome::kEnd, 25},
      {"\r\n12345\r\n\r\n", Outcome::kEnd, 11},
      {"\r\n\r\n", Outcome::kLeadingLines, 3},
      {"\r1\r\n", Outcome::kNoCrlf, 3},
      {"\n", Outcome::kNoCrlf, 0},
      {"1234567", Outcome::kLineTooLong, 6},
      {"123456\r\n", Outcome::kLineTooLong, 6},
      {"1\n", Outcome::kNoCrlf, 1},
      {"1\r\n12345678", Outcome::kFieldTooLong, 10},
      {"1\r\n1\r\n2\r\n3", Outcome::kTooManyFields, 9},
      {"1\r\n1\r\n 2", Outcome::kFolded, 6},
      {"1\r\n\t2", Outcome::kFolded, 3},
      {"1\r\n: 2", Outcome::kNoName, 3},
      {"1\r\n2\n", Outcome::kNoCrlf, 4},
      {"1\r\n2\r\n\n", Outcome::kNoCrlf, 6},
  };
  for (const Case& test : cases) ExpectScan(test, &LineScanner::StartHead);
}

TEST(LineScanner, Trailers) {
  const Case cases[] = {
      {"1\r\n2\r\n\r\nrest", Outcome::kEnd, 8},
      {"\r\n", Outcome::kEnd, 2},
      {"1\r\n2\r\n3", Outcome::kTooManyFields, 6},
  };
  for (const Case& test : cases) ExpectScan(test, &LineScanner::StartTrailers);
}

}  // namespace
}  // namespace gunid
