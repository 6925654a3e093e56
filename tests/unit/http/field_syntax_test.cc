#include "http/field_syntax.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <span>
#include <string>

namespace gunid {
namespace {

TEST(FieldSyntax, EqualsIgnoreCase) {
  EXPECT_TRUE(EqualsIgnoreCase("Content-Type", "cONTENT-tYPE"));
  EXPECT_TRUE(EqualsIgnoreCase("", ""));
  EXPECT_FALSE(EqualsIgnoreCase("a", "ab"));
  EXPECT_FALSE(EqualsIgnoreCase("@", "`"));  // differ in the same bit as letters do
  EXPECT_FALSE(EqualsIgnoreCase("\xc0", "\xe0"));
}

TEST(FieldSyntax, TrimWhitespace) {
  EXPECT_EQ(TrimWhitespace(" \t a\t b \t"), "a\t b");
  EXPECT_EQ(TrimWhitespace(" \t "), "");
  EXPECT_EQ(TrimWhitespace(""), "");
  EXPECT_EQ(TrimWhitespace("\ra\n"), "\ra\n");
}

TEST(FieldSyntax, ListContains) {
  EXPECT_TRUE(ListContains("close", "close"));
  EXPECT_TRUE(ListContains("a , CLOSE\t,,b", "close"));
  EXPECT_TRUE(ListContains("a,close", "close"));
  EXPECT_FALSE(ListContains("", "close"));
  EXPECT_FALSE(ListContains("closed, not close", "close"));
}

TEST(FieldSyntax, ParseContentLength) {
  EXPECT_EQ(ParseContentLength("0"), 0u);
  EXPECT_EQ(ParseContentLength("007"), 7u);
  EXPECT_EQ(ParseContentLength("18446744073709551615"), 18446744073709551615u);
  for (const char* bad :
       {"", " 1", "1 ", "+1", "-1", "0x1", "1,1", "1.0", "18446744073709551616"}) {
    EXPECT_EQ(ParseContentLength(bad), std::nullopt) << bad;
  }
}

struct Rewritten {
  std::string before;
  std::string after;
};

void ExpectRewritten(void (*rewrite)(std::span<char>), std::initializer_list<Rewritten> cases) {
  for (const Rewritten& test : cases) {
    std::string text = test.before;
    rewrite(text);
    EXPECT_EQ(text, test.after) << test.before;
  }
}

TEST(FieldSyntax, Unfold) {
  ExpectRewritten(Unfold, {
                              {"", ""},
                              {"X: a\r\nY: b\r\n", "X: a\r\nY: b\r\n"},
                              {"X: a\r\n b\r\n", "X: a   b\r\n"},
                              {"X: a\t \r\n\t\tb\tc\r\n", "X: a      b\tc\r\n"},
                              {"X:\r\n \r\n\tb\r\nY: c\r\n d", "X:      b\r\nY: c   d"},
                              {"X\r\n : a\r\n", "X\r\n : a\r\n"},
                              {"X: a\r\nY\r\n b\r\n", "X: a\r\nY\r\n b\r\n"},
                              {" X: a\r\n", " X: a\r\n"},
                              {"X: a\r\n", "X: a\r\n"},
                          });
}

TEST(FieldSyntax, CloseUpNames) {
  ExpectRewritten(CloseUpNames, {
                                    {"", ""},
                                    {"X: a\r\nY : b\r\n", "X: a\r\nY:  b\r\n"},
                                    {"X \t:a : b\r\n", "X:  a : b\r\n"},
                                    {"X Y :a\r\n", "X Y: a\r\n"},
                                    {" :a\r\n", " :a\r\n"},
                                    {"X \r\n :a\r\n", "X \r\n :a\r\n"},
                                    {"X \r\nY :", "X \r\nY: "},
                                    {"X ", "X "},
                                });
}

TEST(FieldSyntax, BlankTrailingTabs) {
  ExpectRewritten(BlankTrailingTabs, {
                                         {"X:\ta\t\r\nY: b\t \t\r\n", "X:\ta \r\nY: b   \r\n"},
                                         {"X: a\tb\r\n", "X: a\tb\r\n"},
                                         {"X: a\t", "X: a\t"},
                                         {"", ""},
                                     });
}

}  // namespace
}  // namespace gunid
