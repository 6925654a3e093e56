#include "supervisor/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gunid {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::system_clock;
using testing::ElementsAre;
using testing::IsEmpty;

class EventLogTest : public testing::Test {
 protected:
  void Add(const std::string& type) { log.Add({.type = type}); }
  void Wait(std::uint64_t after) {
    log.After(after, [this](const CommandResult& result) { answers.push_back(result); });
  }
  std::vector<std::uint64_t> Ids(const CommandResult& result) {
    std::vector<std::uint64_t> ids;
    const json document = json::parse(result.body);
    for (const json& event : document.at("events")) ids.push_back(event.at("id"));
    return ids;
  }

  system_clock::time_point now{milliseconds(1'700'000'000'007)};
  EventLog log{[this] { return now; }};
  std::vector<CommandResult> answers;
};

TEST_F(EventLogTest, NumbersAndDatesWhatHappens) {
  log.Add({.type = "scaled", .worker = 3, .message = "from 1 to 2", .detail = "why"});
  now += milliseconds(993);
  Add("stopping");
  const auto events = log.All().events;
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].id, 1U);
  EXPECT_EQ(events[0].time, "2023-11-14T22:13:20.007Z");
  EXPECT_EQ(events[0].type, "scaled");
  EXPECT_EQ(events[0].worker, 3);
  EXPECT_EQ(events[0].message, "from 1 to 2");
  EXPECT_EQ(events[0].detail, "why");
  EXPECT_EQ(events[1].id, 2U);
  EXPECT_EQ(events[1].time, "2023-11-14T22:13:21.000Z");
}

TEST_F(EventLogTest, KeepsTheLast) {
  for (std::size_t i = 0; i < EventLog::kMostEvents + 5; ++i) Add("scaled");
  const auto events = log.All().events;
  EXPECT_EQ(events.size(), EventLog::kMostEvents);
  EXPECT_EQ(events.front().id, 6U);
  EXPECT_EQ(events.back().id, EventLog::kMostEvents + 5);
  Wait(2);
  EXPECT_EQ(Ids(answers.at(0)).size(), EventLog::kMostEvents) << "what was forgotten is missing";
}

TEST_F(EventLogTest, AnswersAtOnceWithWhatIsNew) {
  for (int i = 0; i < 3; ++i) Add("scaled");
  Wait(0);
  Wait(1);
  Wait(2);
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_THAT(Ids(answers[0]), ElementsAre(1, 2, 3));
  EXPECT_THAT(Ids(answers[1]), ElementsAre(2, 3));
  EXPECT_THAT(Ids(answers[2]), ElementsAre(3));
  EXPECT_EQ(answers[0].http_status, 200);
}

TEST_F(EventLogTest, LetsWaitForWhatIsToCome) {
  Add("scaled");
  Wait(1);
  Wait(1);
  EXPECT_THAT(answers, IsEmpty());
  Add("scaled");
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_THAT(Ids(answers[0]), ElementsAre(2));
  EXPECT_THAT(Ids(answers[1]), ElementsAre(2));
  Add("scaled");
  EXPECT_EQ(answers.size(), 2U) << "each is answered once";
}

TEST_F(EventLogTest, AnEventOfAnotherLifeIsAnError) {
  Add("scaled");
  Wait(2);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].http_status, 400);
  EXPECT_THAT(answers[0].body, testing::HasSubstr("there is no event 2; the last one is 1"));
}

TEST_F(EventLogTest, LongDetailsPushOutOldEvents) {
  const std::string detail(60 * 1024, 'x');
  for (int i = 0; i < 100; ++i) log.Add({.type = "request_slow", .detail = detail});
  const auto kept = log.All().events;
  EXPECT_LT(kept.size(), 80U);
  EXPECT_GT(kept.size(), 60U);
  EXPECT_EQ(kept.back().id, 100U);
}

TEST_F(EventLogTest, TheFirstOfTooManyWaitersGivesWay) {
  for (std::size_t i = 0; i <= EventLog::kMostWaiters; ++i) Wait(0);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].http_status, 200);
  EXPECT_THAT(Ids(answers[0]), IsEmpty());
  Add("scaled");
  EXPECT_EQ(answers.size(), EventLog::kMostWaiters + 1);
}

TEST_F(EventLogTest, TheEndIsAnError) {
  Wait(0);
  Wait(0);
  log.FailWaiters(503, {"stopping", "the server is being stopped", ""});
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[1].http_status, 503);
  EXPECT_EQ(json::parse(answers[1].body).at("error").at("code"), "stopping");
  log.FailWaiters(503, {});
  EXPECT_EQ(answers.size(), 2U);
}

TEST_F(EventLogTest, WhoAsksAgainFromItsAnswerWaitsForTheNext) {
  int calls = 0;
  log.After(0, [&](const CommandResult&) {
    ++calls;
    log.After(1, [&](const CommandResult&) { ++calls; });
  });
  Add("scaled");
  EXPECT_EQ(calls, 1);
  Add("scaled");
  EXPECT_EQ(calls, 2);
}

TEST_F(EventLogTest, BoundsTheTexts) {
  log.Add({.type = "boot_failed", .detail = std::string(1'000'000, 'x') + "the end"});
  const auto events = log.All().events;
  EXPECT_LE(events[0].detail.size(), 64U * 1024);
  EXPECT_TRUE(events[0].detail.ends_with("the end"));
}

TEST_F(EventLogTest, BytesThatAreNotUtf8DoNotBreakTheAnswer) {
  log.Add({.type = "request_slow", .message = "GET /caf\xe9", .detail = "caf\xe9.py"});
  Wait(0);
  EXPECT_TRUE(json::accept(answers.at(0).body));
}

}  // namespace
}  // namespace gunid
