#include "control/control_routes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>

namespace gunid {
namespace {

const CommandRow& Row(std::string_view name) {
  for (const CommandRow& row : kCommands) {
    if (row.name == name) return row;
  }
  throw std::invalid_argument("no such command");
}

std::string ErrorCode(const CommandResult& result) {
  return nlohmann::json::parse(result.body).at("error").at("code").get<std::string>();
}

TEST(FindRoute, FindsEveryRowByItsMethodAndPath) {
  for (const CommandRow& row : kCommands) {
    const auto route = FindRoute(row.method, row.path);
    ASSERT_TRUE(std::holds_alternative<const CommandRow*>(route)) << row.name;
    EXPECT_EQ(std::get<const CommandRow*>(route), &row);
  }
}

TEST(FindRoute, RefusesTheWrongMethodAndNamesTheRightOne) {
  for (const CommandRow& row : kCommands) {
    for (std::string_view method : {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"}) {
      if (method == row.method) continue;
      const auto route = FindRoute(method, row.path);
      ASSERT_TRUE(std::holds_alternative<Refusal>(route)) << method << " " << row.path;
      const auto& refusal = std::get<Refusal>(route);
      EXPECT_EQ(refusal.result.http_status, 405);
      EXPECT_EQ(ErrorCode(refusal.result), "method_not_allowed");
      EXPECT_EQ(refusal.allow, row.method);
    }
  }
}

TEST(FindRoute, RefusesUnknownPaths) {
  for (std::string_view path : {"", "/", "/v1/", "/v1/statu", "/v1/status/", "/V1/status",
                                "/v2/status", "/v1/status\n", "/../v1/status", "//v1/status"}) {
    const auto route = FindRoute("GET", path);
    ASSERT_TRUE(std::holds_alternative<Refusal>(route)) << path;
    EXPECT_EQ(std::get<Refusal>(route).result.http_status, 404);
    EXPECT_EQ(ErrorCode(std::get<Refusal>(route).result), "not_found");
  }
}

TEST(FindRoute, KnowsTheIndex) {
  const auto route = FindRoute("GET", "/v1");
  ASSERT_TRUE(std::holds_alternative<const CommandRow*>(route));
  EXPECT_EQ(std::get<const CommandRow*>(route), nullptr);
  EXPECT_TRUE(std::holds_alternative<Refusal>(FindRoute("POST", "/v1")));
}

std::variant<Command, CommandResult> ParseBody(std::string_view name, const std::string& body) {
  return ParseCommand(Row(name), "", body);
}

std::variant<Command, CommandResult> ParseQuery(std::string_view name, std::string_view query) {
  return ParseCommand(Row(name), query, "");
}

void ExpectRefused(const std::variant<Command, CommandResult>& parsed, const std::string& message,
                   std::string_view input) {
  ASSERT_TRUE(std::holds_alternative<CommandResult>(parsed)) << input;
  const auto& result = std::get<CommandResult>(parsed);
  EXPECT_EQ(result.http_status, 400) << input;
  const auto error = nlohmann::json::parse(result.body).at("error");
  EXPECT_EQ(error.at("code"), "bad_argument") << input;
  EXPECT_EQ(error.at("message"), message) << input;
}

TEST(ParseCommand, ReadsTheNumberOfWorkers) {
  const struct {
    const char* body;
    int workers;
  } cases[] = {{R"({"workers":1})", 1}, {R"({"workers":8})", 8}, {" { \"workers\" : 512 }\n", 512}};
  for (const auto& test : cases) {
    const auto parsed = ParseBody("scale", test.body);
    ASSERT_TRUE(std::holds_alternative<Command>(parsed)) << test.body;
    EXPECT_EQ(std::get<Command>(parsed).id, CommandId::kScale);
    EXPECT_EQ(std::get<Command>(parsed).workers, test.workers);
  }
}

TEST(ParseCommand, NobodyHasToWaitForAJob) {
  const auto wait_of = [](CommandId id, const std::string& body) -> std::optional<bool> {
    const auto parsed = ParseCommand(RowOf(id), "", body);
    if (const auto* command = std::get_if<Command>(&parsed)) return command->wait;
    return std::nullopt;
  };
  EXPECT_EQ(wait_of(CommandId::kReload, ""), true);
  EXPECT_EQ(wait_of(CommandId::kReload, "{}"), true);
  EXPECT_EQ(wait_of(CommandId::kReload, R"({"wait": true})"), true);
  EXPECT_EQ(wait_of(CommandId::kReload, R"({"wait": false})"), false);
  EXPECT_EQ(wait_of(CommandId::kScale, R"({"wait": false, "workers": 3})"), false);
  EXPECT_EQ(wait_of(CommandId::kScale, R"({"wait": false})"), std::nullopt);
  EXPECT_EQ(wait_of(CommandId::kReload, R"({"wait": 0})"), std::nullopt);
  EXPECT_EQ(wait_of(CommandId::kReload, R"({"wait": false, "x": 1})"), std::nullopt);
  EXPECT_EQ(wait_of(CommandId::kStop, R"({"wait": false})"), std::nullopt) << "it is no job";
}

TEST(ParseCommand, ReadsTheIdOfARequest) {
  const auto parsed = ParseBody("cancel", R"({"request": "3-1841"})");
  ASSERT_TRUE(std::holds_alternative<Command>(parsed));
  EXPECT_EQ(std::get<Command>(parsed).id, CommandId::kCancel);
  EXPECT_EQ(std::get<Command>(parsed).request, (RequestId{3, 1841}));
}

TEST(ParseCommand, ReadsTheIdOfAWorker) {
  const auto parsed = ParseQuery("stack", "worker=3");
  ASSERT_TRUE(std::holds_alternative<Command>(parsed));
  EXPECT_EQ(std::get<Command>(parsed).id, CommandId::kStack);
  EXPECT_EQ(std::get<Command>(parsed).worker, 3);
}

TEST(ParseCommand, TheEventToStartAfterMayBeLeftOut) {
  const struct {
    const char* query;
    std::optional<std::uint64_t> after;
  } cases[] = {{"", std::nullopt},
               {"after=0", 0},
               {"after=17", 17},
               {"after=18446744073709551615", 18446744073709551615U}};
  for (const auto& test : cases) {
    const auto parsed = ParseQuery("events", test.query);
    ASSERT_TRUE(std::holds_alternative<Command>(parsed)) << test.query;
    EXPECT_EQ(std::get<Command>(parsed).after, test.after) << test.query;
  }
}

// What is no JSON object with one member of the right name, for any command with an argument.
constexpr const char* kNoArgument[] = {
    "", "{}", "null", "8", "\"8\"", "[8]", "[]", "abc", "{", R"({"other":8})", "workers=8"};

TEST(ParseCommand, RefusesEverythingElseForScale) {
  const std::string message =
      "scale takes a JSON object with one member: {\"workers\": N}, N a whole number from 1 to 512";
  for (const char* body : kNoArgument) ExpectRefused(ParseBody("scale", body), message, body);
  for (const char* body : {"{\"workers\":8",
                           "{\"workers\":8}x",
                           R"({"workers":0})",
                           R"({"workers":-1})",
                           R"({"workers":-0})",
                           R"({"workers":513})",
                           R"({"workers":1000000})",
                           R"({"workers":4294967297})",
                           R"({"workers":18446744073709551616})",
                           R"({"workers":1.5})",
                           R"({"workers":8.0})",
                           R"({"workers":1e1})",
                           R"({"workers":08})",
                           R"({"workers":"8"})",
                           R"({"workers":"abc"})",
                           R"({"workers":null})",
                           R"({"workers":true})",
                           R"({"workers":[8]})",
                           R"({"workers":{"n":8}})",
                           R"({"worker":8})",
                           R"({"Workers":8})",
                           R"({"workers":8,"extra":1})",
                           "{\"workers\":\xff}"}) {
    ExpectRefused(ParseBody("scale", body), message, body);
  }
}

TEST(ParseCommand, RefusesEverythingElseForCancel) {
  const std::string message =
      "cancel takes a JSON object with one member: {\"request\": \"ID\"}, ID the id of a request, "
      "such as 3-1841";
  for (const char* body : kNoArgument) ExpectRefused(ParseBody("cancel", body), message, body);
  for (const char* value : {"3", "31841", "-3", "null", "true", "[3, 1841]", "[\"3-1841\"]",
                            "{\"worker\": 3}", "3-1841", "\"3\"", "\"\"", "\"\\u0000\""}) {
    ExpectRefused(ParseBody("cancel", R"({"request": )" + std::string(value) + "}"), message,
                  value);
  }
  ExpectRefused(ParseBody("cancel", R"({"request": "3-1841", "force": true})"), message, "two");
}

TEST(ParseCommand, RefusesEverythingElseForStack) {
  const std::string message =
      "stack takes one query parameter: ?worker=N, N the id or pid of a worker, a whole number";
  for (const char* query : {"",
                            "worker",
                            "worker=",
                            "worker=0",
                            "worker=-1",
                            "worker=+1",
                            "worker=01",
                            "worker=1.0",
                            "worker=0x1",
                            "worker=1e1",
                            "worker= 1",
                            "worker=1 ",
                            "worker=%31",
                            "worker=1%00",
                            "worker=2147483648",
                            "worker=99999999999999999999",
                            "worker=abc",
                            "worker=1-2",
                            "worker==1",
                            "Worker=1",
                            "w%6frker=1",
                            "workers=1",
                            "request=1",
                            "x=1",
                            "1",
                            "=",
                            "&",
                            "&worker=1",
                            "worker=1&",
                            "worker=1&worker=1",
                            "worker=1&worker=2",
                            "worker=1;worker=2",
                            "worker=1&after=2",
                            "after=2&worker=1",
                            "worker=1?worker=1",
                            "worker=1#",
                            "worker=\xff"}) {
    ExpectRefused(ParseQuery("stack", query), message, query);
  }
}

TEST(ParseCommand, RefusesEverythingElseForEvents) {
  const std::string message =
      "events takes at most one query parameter: ?after=N, N the id of an event, or 0";
  for (const char* query : {"after",
                            "after=",
                            "after=-1",
                            "after=+1",
                            "after=00",
                            "after=017",
                            "after=1.5",
                            "after=18446744073709551616",
                            "after=x",
                            "after=%31",
                            "after=1&after=1",
                            "after=1&after=2",
                            "after=1&",
                            "&",
                            "follow=1",
                            "before=1",
                            "worker=1",
                            "after=1&worker=1",
                            "?",
                            "?after=1"}) {
    ExpectRefused(ParseQuery("events", query), message, query);
  }
}

TEST(ParseCommand, SurvivesDeepNesting) {
  EXPECT_TRUE(std::holds_alternative<CommandResult>(
      ParseBody("scale", R"({"workers":)" + std::string(100'000, '['))));
}

TEST(ParseCommand, TakesNoArgumentWhereThereIsNone) {
  for (const char* name : {"reload", "restart", "stop"}) {
    for (const char* body : {"", "{}", " {} "}) {
      EXPECT_TRUE(std::holds_alternative<Command>(ParseBody(name, body))) << name << body;
    }
    for (const char* body :
         {"null", "[]", "x", R"({"workers":8})", R"({"force":true})", R"({"":1})"}) {
      ExpectRefused(ParseBody(name, body),
                    std::string(name) + " takes no argument: send no body, or {}", body);
    }
  }
  for (const char* name : {"status", "stats", "workers", "requests"}) {
    EXPECT_TRUE(std::holds_alternative<Command>(ParseQuery(name, ""))) << name;
    for (const char* query : {"x", "x=1", "worker=1", "=", "=1", "&"}) {
      ExpectRefused(ParseQuery(name, query), std::string(name) + " takes no query parameters",
                    query);
    }
  }
}

TEST(ParseCommand, RefusesAQueryWhereABodyBelongs) {
  for (const CommandRow& row : kCommands) {
    if (row.method != "POST") continue;
    const std::string body = row.id == CommandId::kScale    ? R"({"workers": 8})"
                             : row.id == CommandId::kCancel ? R"({"request": "1-1"})"
                                                            : "";
    EXPECT_TRUE(std::holds_alternative<Command>(ParseCommand(row, "", body))) << row.name;
    EXPECT_TRUE(std::holds_alternative<CommandResult>(ParseCommand(row, "workers=8", body)))
        << row.name;
  }
}

TEST(QueryOf, IsWhatFollowsTheFirstQuestionMark) {
  const struct {
    std::string_view target;
    std::string_view query;
  } cases[] = {{"", ""},
               {"/v1/status", ""},
               {"/v1/status?", ""},
               {"/v1/stack?worker=3", "worker=3"},
               {"/v1/stack??worker=3?", "?worker=3?"}};
  for (const auto& test : cases) EXPECT_EQ(QueryOf(test.target), test.query) << test.target;
}

TEST(IndexResult, ListsEveryCommand) {
  const auto index = nlohmann::json::parse(IndexResult().body);
  ASSERT_EQ(index.at("commands").size(), kCommands.size());
  for (std::size_t i = 0; i < kCommands.size(); ++i) {
    EXPECT_EQ(index["commands"][i]["path"], kCommands[i].path);
    EXPECT_EQ(index["commands"][i]["argument"], kCommands[i].argument);
  }
}

TEST(HttpErrorResult, IsAlwaysAnErrorDocument) {
  for (int status : {400, 403, 411, 413, 414, 415, 416, 500, 505}) {
    const CommandResult result = HttpErrorResult(status);
    EXPECT_EQ(result.http_status, status);
    EXPECT_NE(ErrorCode(result), "");
  }
}

}  // namespace
}  // namespace gunid
