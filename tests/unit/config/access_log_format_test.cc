#include "config/access_log_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/settings.h"

namespace gunid {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// "literal" for a literal, <number> for an atom.
std::string Outline(std::string_view text) {
  const auto format = ParseAccessLogFormat(text);
  if (!format) return "refused";
  std::string outline;
  for (const AccessLogPiece& piece : format->pieces) {
    outline += piece.atom == AccessLogAtom::kLiteral
                   ? "\"" + piece.text + "\""
                   : "<" + std::to_string(static_cast<int>(piece.atom)) + ">";
  }
  return outline;
}

std::string Atom(AccessLogAtom atom) {
  return "<" + std::to_string(static_cast<int>(atom)) + ">";
}

TEST(ParseAccessLogFormat, KnowsGunicornsAtoms) {
  using enum AccessLogAtom;
  const std::pair<const char*, AccessLogAtom> rows[] = {{"h", kClient},
                                                        {"u", kUser},
                                                        {"t", kTime},
                                                        {"r", kRequestLine},
                                                        {"m", kMethod},
                                                        {"U", kPath},
                                                        {"q", kQuery},
                                                        {"H", kProtocol},
                                                        {"s", kStatus},
                                                        {"b", kBodyBytes},
                                                        {"B", kBodyBytes},
                                                        {"f", kReferer},
                                                        {"a", kUserAgent},
                                                        {"T", kSeconds},
                                                        {"M", kMilliseconds},
                                                        {"D", kMicroseconds},
                                                        {"L", kDecimal},
                                                        {"p", kProcess},
                                                        {"{X-A}i", kRequestField},
                                                        {"{X-A}o", kResponseField},
                                                        {"{X_A}e", kVariable}};
  for (const auto& [name, atom] : rows) {
    EXPECT_EQ(Outline("%(" + std::string(name) + ")s"), Atom(atom)) << name;
  }
}

TEST(ParseAccessLogFormat, WhatIsUnknownIsADash) {
  for (const char* name : {"l", "x", "", "hh", "{X}z", "{X}", "{Xi", "X}i", "{X}ii"}) {
    EXPECT_EQ(Outline("%(" + std::string(name) + ")s"), "\"-\"") << name;
  }
}

TEST(ParseAccessLogFormat, JoinsLiterals) {
  EXPECT_EQ(Outline(""), "");
  EXPECT_EQ(Outline("a %(l)s b%%c"), "\"a - b%c\"");
  EXPECT_EQ(Outline("a%(s)sb%(s)s"),
            "\"a\"" + Atom(AccessLogAtom::kStatus) + "\"b\"" + Atom(AccessLogAtom::kStatus));
}

TEST(ParseAccessLogFormat, TakesNumbersAsNumbers) {
  for (const char* name : {"B", "T", "M", "D"}) {
    EXPECT_NE(Outline("%(" + std::string(name) + ")d"), "refused") << name;
  }
  for (const char* name : {"h", "b", "L", "l", "{X}i"}) {
    EXPECT_EQ(Outline("%(" + std::string(name) + ")d"), "refused") << name;
  }
}

TEST(ParseAccessLogFormat, CollectsWhatMustBeKept) {
  const auto format = ParseAccessLogFormat("%({A}o)s %({B}e)s %({C}o)s %({D}i)s");
  ASSERT_TRUE(format);
  EXPECT_THAT(format->response_fields, ElementsAre("A", "C"));
  EXPECT_THAT(format->variables, ElementsAre("B"));
  EXPECT_EQ(format->pieces[4].index, 1U);
  EXPECT_EQ(format->pieces[6].text, "D");
  EXPECT_THAT(ParseAccessLogFormat("%(h)s")->variables, IsEmpty());
}

TEST(ParseAccessLogFormat, RefusesWhatItCannotPrint) {
  for (const char* text : {"%", "%s", "100% %(s)s", "%(h", "%(h)", "%(h)10s", "%-5(h)s", "%(h)r",
                           "%(h)s %(s) %(b)s", "%h"}) {
    EXPECT_EQ(Outline(text), "refused") << text;
  }
  EXPECT_THAT(ParseAccessLogFormat("%(h)s %(s)5s").error().message, HasSubstr("at '%(s)5s'"));
}

TEST(ParseAccessLogFormat, TakesTheDefault) {
  EXPECT_TRUE(ParseAccessLogFormat(Settings().access_log_format));
}

}  // namespace
}  // namespace gunid
