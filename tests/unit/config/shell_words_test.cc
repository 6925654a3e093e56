#include "config/shell_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gunid {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Split(std::string_view line) {
  auto words = SplitShellWords(line);
  EXPECT_TRUE(words) << line;
  return words ? *words : std::vector<std::string>();
}

TEST(SplitShellWords, SplitsAtBlanks) {
  EXPECT_THAT(Split(""), IsEmpty());
  EXPECT_THAT(Split(" \t\n "), IsEmpty());
  EXPECT_THAT(Split("  -w 4\t--preload\n"), ElementsAre("-w", "4", "--preload"));
}

TEST(SplitShellWords, QuotesKeepBlanks) {
  EXPECT_THAT(Split("-e 'A=b c' -e \"D=e f\""), ElementsAre("-e", "A=b c", "-e", "D=e f"));
  EXPECT_THAT(Split("--env=A=\"b c\"d'e f'"), ElementsAre("--env=A=b cde f"));
  EXPECT_THAT(Split("'' \"\" x''"), ElementsAre("", "", "x"));
  EXPECT_THAT(Split("\"it's\" 'say \"hi\"'"), ElementsAre("it's", "say \"hi\""));
}

TEST(SplitShellWords, BackslashQuotesOneCharacter) {
  EXPECT_THAT(Split(R"(a\ b \'c \\)"), ElementsAre("a b", "'c", "\\"));
  EXPECT_THAT(Split(R"("a\"b" "c\\d" "e\nf")"), ElementsAre("a\"b", "c\\d", "e\\nf"));
  EXPECT_THAT(Split(R"('a\b')"), ElementsAre("a\\b"));
}

TEST(SplitShellWords, ExpandsNothing) {
  EXPECT_THAT(Split("$HOME `id` *.py ~ #x a;b"),
              ElementsAre("$HOME", "`id`", "*.py", "~", "#x", "a;b"));
}

TEST(SplitShellWords, RefusesWhatDoesNotEnd) {
  for (const char* line : {"'a", "\"a", "a\\", "\"a\\", "x 'y\" z"})
    EXPECT_FALSE(SplitShellWords(line)) << line;
  EXPECT_EQ(SplitShellWords("it's").error().message, "a quote ' is not closed");
}

}  // namespace
}  // namespace gunid
