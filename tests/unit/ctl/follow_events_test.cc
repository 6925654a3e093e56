#include "ctl/follow_events.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "gunid/exit_codes.h"
#include "gunid/reports.h"

namespace gunid {
namespace {

using nlohmann::json;

EventReport Event(std::uint64_t id, const std::string& message) {
  return {.id = id, .time = "T", .type = "scaled", .message = message};
}

std::string Line(const std::string& message) {
  return "T  scaled             server            " + message + "\n";
}

Reply Answer(const std::vector<EventReport>& events) {
  return {.outcome = Reply::Outcome::kAnswered,
          .http_status = 200,
          .body = json(EventsReport{events}).dump()};
}

Reply Refusal(const std::string& code, const std::string& message) {
  return {.outcome = Reply::Outcome::kAnswered,
          .http_status = 503,
          .body = json{{"error", ErrorReport{code, message, ""}}}.dump()};
}

Reply NoAnswer(Reply::Outcome outcome) {
  return {.outcome = outcome, .error = "why \x1b"};
}

// Gives the replies one after the other, and keeps what it was asked for and printed by then.
struct Session {
  explicit Session(std::vector<Reply> scripted) : replies(std::move(scripted)) {}

  FollowEnd Follow(std::optional<std::uint64_t> after = std::nullopt, bool json_lines = false) {
    const auto ask = [this](const Command& command) {
      asked.push_back(command.after);
      printed.push_back(out.str());
      return replies.at(asked.size() - 1);
    };
    return FollowEvents({.id = CommandId::kEvents, .after = after}, json_lines, ask, out, warnings);
  }

  std::vector<Reply> replies;
  std::vector<std::optional<std::uint64_t>> asked;
  std::vector<std::string> printed;
  std::ostringstream out;
  std::ostringstream warnings;
};

const Reply kStopped = Refusal("stopping", "the server has stopped before the command ended");

TEST(FollowEvents, AsksForWhatComesAfterTheLastEvent) {
  Session session({Answer({Event(41, "a"), Event(42, "b")}), Answer({Event(43, "c")}), kStopped});
  const FollowEnd end = session.Follow();
  using After = std::optional<std::uint64_t>;
  EXPECT_EQ(session.asked, (std::vector<After>{std::nullopt, 42, 43}));
  EXPECT_EQ(session.printed, (std::vector<std::string>{"", Line("a") + Line("b"),
                                                       Line("a") + Line("b") + Line("c")}));
  EXPECT_EQ(session.warnings.str(), "");
  EXPECT_EQ(end.exit_code, ctl_exit::kCannotConnect);
  EXPECT_EQ(end.reason, "events: the server has stopped");
}

TEST(FollowEvents, WaitsForTheFirstEventOfAll) {
  Session session({Answer({}), Answer({Event(1, "a")}), kStopped});
  session.Follow();
  using After = std::optional<std::uint64_t>;
  EXPECT_EQ(session.asked, (std::vector<After>{std::nullopt, 0, 1}));
  EXPECT_EQ(session.warnings.str(), "");
}

TEST(FollowEvents, AsksAgainAfterAnEmptyAnswer) {
  Session session({Answer({}), Answer({}), Answer({Event(18, "a")}), kStopped});
  session.Follow(17);
  using After = std::optional<std::uint64_t>;
  EXPECT_EQ(session.asked, (std::vector<After>{17, 17, 17, 18}));
  EXPECT_EQ(session.out.str(), Line("a"));
}

TEST(FollowEvents, TellsOfAGap) {
  Session session({Answer({Event(20, "a")}), Answer({Event(22, "b"), Event(23, "c")}), kStopped});
  session.Follow(17);
  EXPECT_EQ(session.out.str(), Line("a") + Line("b") + Line("c"));
  EXPECT_EQ(session.warnings.str(),
            "gunictl: events: 2 events were forgotten by the server before 20\n"
            "gunictl: events: 1 event was forgotten by the server before 22\n");
}

TEST(FollowEvents, AsJsonIsOneDocumentALineWithAllItsMembers) {
  json event = Event(1, "two\nlines");
  event["news"] = {1, 2};
  Reply reply = Answer({});
  reply.body = json{{"events", {event, Event(2, "b")}}}.dump(2);
  Session session({reply, kStopped});
  session.Follow(std::nullopt, true);
  std::istringstream lines(session.out.str());
  std::vector<json> documents;
  for (std::string line; std::getline(lines, line);) documents.push_back(json::parse(line));
  EXPECT_EQ(documents, (std::vector<json>{event, json(Event(2, "b"))}));
}

TEST(FollowEvents, SaysWhyItEnds) {
  const Reply events = Answer({Event(1, "a")});
  const struct {
    std::vector<Reply> replies;
    int exit_code;
    std::string reason;
  } cases[] = {
      {{events, kStopped}, ctl_exit::kCannotConnect, "events: the server has stopped"},
      {{kStopped}, ctl_exit::kCannotConnect, "events: the server has stopped"},
      {{events, NoAnswer(Reply::Outcome::kBroken)},
       ctl_exit::kCannotConnect,
       "events: the server has stopped"},
      {{events, NoAnswer(Reply::Outcome::kCannotConnect)},
       ctl_exit::kCannotConnect,
       "events: the server has stopped"},
      {{NoAnswer(Reply::Outcome::kCannotConnect)}, ctl_exit::kCannotConnect, "why \\x1b"},
      {{NoAnswer(Reply::Outcome::kBroken)}, ctl_exit::kFailed, "why \\x1b"},
      {{events, NoAnswer(Reply::Outcome::kTimedOut)}, ctl_exit::kTimedOut, "why \\x1b"},
      {{events, Refusal("busy", "too many \x1b")}, ctl_exit::kFailed, "events: too many \\x1b\n"},
      {{{.outcome = Reply::Outcome::kAnswered, .http_status = 500, .body = "x"}},
       ctl_exit::kFailed,
       "events: the server's answer is not understood"},
  };
  for (const auto& test : cases) {
    Session session(test.replies);
    const FollowEnd end = session.Follow();
    EXPECT_EQ(end.exit_code, test.exit_code) << test.reason;
    EXPECT_EQ(end.reason, test.reason);
    EXPECT_EQ(session.asked.size(), test.replies.size());
  }
}

TEST(FollowEvents, AnswersThatAreNoEventsEndIt) {
  for (const char* body : {"", "x", "{}", "[]", R"({"events": 1})", R"({"events": {}})",
                           R"({"events": [1]})", R"({"events": [{"id": "1"}]})"}) {
    Session session({{.outcome = Reply::Outcome::kAnswered, .http_status = 200, .body = body}});
    const FollowEnd end = session.Follow();
    EXPECT_EQ(end.exit_code, ctl_exit::kFailed) << body;
    EXPECT_EQ(end.reason, "events: the server's answer is not understood") << body;
    EXPECT_EQ(session.out.str(), "") << body;
  }
}

TEST(FollowEvents, EndsWhenNobodyReads) {
  Session session({Answer({Event(1, "a")})});
  session.out.setstate(std::ios::badbit);
  const FollowEnd end = session.Follow();
  EXPECT_EQ(end.exit_code, ctl_exit::kFailed);
  EXPECT_EQ(end.reason, "cannot write the events to standard output");
}

}  // namespace
}  // namespace gunid
