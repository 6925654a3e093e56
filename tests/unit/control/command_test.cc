#include "gunid/command.h"

#include <gtest/gtest.h>

#include <limits>

namespace gunid {
namespace {

TEST(ParseRequestId, ReadsWhatToStringWrites) {
  const struct {
    RequestId id;
    const char* text;
  } cases[] = {
      {{1, 1}, "1-1"},
      {{3, 1841}, "3-1841"},
      {{std::numeric_limits<int>::max(), std::numeric_limits<std::uint64_t>::max()},
       "2147483647-18446744073709551615"},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(ToString(test.id), test.text);
    EXPECT_EQ(ParseRequestId(test.text), test.id);
  }
}

TEST(ParseRequestId, RefusesEverythingElse) {
  using namespace std::string_view_literals;
  for (std::string_view text : {""sv,
                                "-"sv,
                                "3"sv,
                                "3-"sv,
                                "-1841"sv,
                                "0-1"sv,
                                "3-0"sv,
                                "03-1"sv,
                                "3-01"sv,
                                "+3-1"sv,
                                "3-+1"sv,
                                "-3-1"sv,
                                "3--1"sv,
                                "3-1-"sv,
                                "3-1-2"sv,
                                " 3-1"sv,
                                "3-1 "sv,
                                "3 -1"sv,
                                "3- 1"sv,
                                "3-1\n"sv,
                                "3-1\0"sv,
                                "\0003-1"sv,
                                "3-1x"sv,
                                "x3-1"sv,
                                "3-0x1"sv,
                                "3-1e1"sv,
                                "3.0-1"sv,
                                "3-1.0"sv,
                                "3,1"sv,
                                "3_1"sv,
                                "3\xe2\x80\x93"
                                "1"sv,
                                "2147483648-1"sv,
                                "4294967299-1"sv,
                                "3-18446744073709551616"sv,
                                "99999999999999999999999-1"sv,
                                "\xff-\xff"sv}) {
    EXPECT_EQ(ParseRequestId(text), std::nullopt) << text;
  }
}

TEST(ArgumentKinds, WhatIsReadIsWrittenAndNothingElseIsTouched) {
  const struct {
    ArgumentKind kind;
    const char* text;
  } cases[] = {{ArgumentKind::kNone, ""},
               {ArgumentKind::kWorkerCount, "512"},
               {ArgumentKind::kWorker, "2147483647"},
               {ArgumentKind::kRequest, "3-1841"},
               {ArgumentKind::kAfterEvent, "0"},
               {ArgumentKind::kAfterEvent, "17"}};
  for (const auto& test : cases) {
    Command command;
    ASSERT_TRUE(RowOf(test.kind).read(test.text, command)) << test.text;
    EXPECT_EQ(RowOf(test.kind).write(command), test.text);
    for (const char* malformed : {"x", "-1", "1-", "1.5"}) {
      EXPECT_FALSE(RowOf(test.kind).read(malformed, command)) << test.text << " " << malformed;
    }
    EXPECT_EQ(RowOf(test.kind).write(command), test.text);
  }
}

TEST(Waits, WithTheArgumentThatMayBeLeftOutOnly) {
  for (const CommandRow& row : kCommands) {
    Command command{.id = row.id};
    const bool optional = row.kind == ArgumentKind::kAfterEvent;
    EXPECT_EQ(Waits(row, command), row.waits && !optional) << row.name;
    command.after = 0;
    EXPECT_EQ(Waits(row, command), row.waits) << row.name;
  }
}

}  // namespace
}  // namespace gunid
