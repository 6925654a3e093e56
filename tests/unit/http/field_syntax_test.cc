#include "http/field_syntax.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace gunid
