#include "http/line_scanner.h"

#include <gtest/gtest.h>

#include <string>

namespace gunid {
namespace {

struct Case {
  const char* text;
  LineScanner::Outcome outcome;
  std::size_t length;      // scanned
  std::size_t incomplete;  // of these
};

constexpr RequestLimits kLimits{.line = 5, .fields = 2, .field_size = 8};

// In one piece, and then byte by byte: the same place must be reached with the same outcome.
void ExpectScan(const Case& test, bool permit_folding) {
  const std::string_view text(test.text);
  LineScanner scanner(kLimits, permit_folding);
  const LineScanner::Scan whole = scanner.Advance(text);
  EXPECT_EQ(whole.outcome, test.outcome) << text;
  EXPECT_EQ(whole.length, test.length) << text;
  EXPECT_EQ(scanner.incomplete(), test.incomplete) << text;

  scanner.Start();
  std::size_t length = 0;
  LineScanner::Scan step{LineScanner::Outcome::kMore, 0};
  while (length < text.size() && step.outcome == LineScanner::Outcome::kMore) {
    step = scanner.Advance(text.substr(length, 1));
    length += step.length;
  }
  EXPECT_EQ(step.outcome, test.outcome) << text;
  EXPECT_EQ(length, test.length) << text;
  EXPECT_EQ(scanner.incomplete(), test.incomplete) << text;
}

TEST(LineScanner, Scans) {
  const Case cases[] = {
      {"", LineScanner::Outcome::kMore, 0, 0},
      {"\r\n", LineScanner::Outcome::kEnd, 2, 0},
      {"123456\r\n123456\r\n\r\nrest", LineScanner::Outcome::kEnd, 18, 0},
      {"1\r\n2\r\n", LineScanner::Outcome::kMore, 6, 0},
      {"1\r\n23\r", LineScanner::Outcome::kMore, 6, 3},
      {"12345678", LineScanner::Outcome::kFieldTooLong, 7, 7},
      {"1\r\n1234567\r\n", LineScanner::Outcome::kFieldTooLong, 10, 7},
      {"1\r\n2\r\n3", LineScanner::Outcome::kTooManyFields, 6, 0},
      {"1\r\n 2", LineScanner::Outcome::kFolded, 3, 0},
      {"1\r\n\t2", LineScanner::Outcome::kFolded, 3, 0},
      {" 1", LineScanner::Outcome::kFolded, 0, 0},
      {": 2", LineScanner::Outcome::kNoName, 0, 0},
      {"2\n", LineScanner::Outcome::kNoCrlf, 1, 1},
      {"2\r\n\n", LineScanner::Outcome::kNoCrlf, 3, 0},
      {"2\r\n\r3\r\n", LineScanner::Outcome::kMore, 7, 0},
  };
  for (const Case& test : cases) ExpectScan(test, false);
}

TEST(LineScanner, ScansWhereFoldingIsPermitted) {
  const Case cases[] = {
      {"1\r\n", LineScanner::Outcome::kMore, 3, 3},
      {"1\r\n2", LineScanner::Outcome::kMore, 4, 1},
      {"1\r\n 2", LineScanner::Outcome::kMore, 5, 5},
      {"1\r\n 2\r\n", LineScanner::Outcome::kMore, 7, 7},
      {"1\r\n 2\r\n\r\n", LineScanner::Outcome::kEnd, 9, 0},
      {"1\r\n 23\r\n\r\n", LineScanner::Outcome::kEnd, 10, 0},
      {"1\r\n 234\r\n", LineScanner::Outcome::kFieldTooLong, 7, 7},
      {"1\r\n 23\r\n 4\r\n", LineScanner::Outcome::kFieldTooLong, 8, 8},
      {"1\r\n 2\r\n3\r\n 4\r\n5", LineScanner::Outcome::kTooManyFields, 14, 0},
      {"1\r\n \r\n\r\n", LineScanner::Outcome::kEnd, 8, 0},
      {" 1", LineScanner::Outcome::kFolded, 0, 0},
      {"1\r\n 2\n", LineScanner::Outcome::kNoCrlf, 5, 5},
      {"1\r\n:", LineScanner::Outcome::kNoName, 3, 0},
  };
  for (const Case& test : cases) ExpectScan(test, true);
}

TEST(LineScanner, StartsAnew) {
  LineScanner scanner(kLimits, true);
  EXPECT_EQ(scanner.Advance("1\r\n2\r\n").outcome, LineScanner::Outcome::kMore);
  scanner.Start();
  EXPECT_EQ(scanner.incomplete(), 0u);
  EXPECT_EQ(scanner.Advance("1\r\n2\r\n\r\n").outcome, LineScanner::Outcome::kEnd);
}

}  // namespace
}  // namespace gunid
