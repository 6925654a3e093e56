#include "control/control_routes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

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

TEST(ParseCommand, ReadsTheNumberOfWorkers) {
  const struct {
    const char* body;
    int workers;
  } cases[] = {{R"({"workers":1})", 1}, {R"({"workers":8})", 8}, {" { \"workers\" : 512 }\n", 512}};
  for (const auto& test : cases) {
    const auto parsed = ParseCommand(Row("scale"), test.body);
    ASSERT_TRUE(std::holds_alternative<Command>(parsed)) << test.body;
    EXPECT_EQ(std::get<Command>(parsed).id, CommandId::kScale);
    EXPECT_EQ(std::get<Command>(parsed).workers, test.workers);
  }
}

TEST(ParseCommand, RefusesEverythingElseForScale) {
  for (const char* body : {"",
                           "{}",
                           "null",
                           "8",
                           "\"8\"",
                           "[8]",
                           "[]",
                           "abc",
                           "{",
                           "{\"workers\":8",
                           "{\"workers\":8}x",
                           R"({"workers":0})",
                           R"({"workers":-1})",
                           R"({"workers":513})",
                           R"({"workers":1000000})",
                           R"({"workers":4294967297})",
                           R"({"workers":18446744073709551616})",
                           R"({"workers":1.5})",
                           R"({"workers":8.0})",
                           R"({"workers":1e1})",
                           R"({"workers":"8"})",
                           R"({"workers":"abc"})",
                           R"({"workers":null})",
                           R"({"workers":true})",
                           R"({"workers":[8]})",
                           R"({"workers":{"n":8}})",
                           R"({"worker":8})",
                           R"({"Workers":8})",
                           R"({"workers":8,"extra":1})",
                           "workers=8",
                           "{\"workers\":\xff}"}) {
    const auto parsed = ParseCommand(Row("scale"), body);
    ASSERT_TRUE(std::holds_alternative<CommandResult>(parsed)) << body;
    const auto& result = std::get<CommandResult>(parsed);
    EXPECT_EQ(result.http_status, 400) << body;
    EXPECT_EQ(ErrorCode(result), "bad_argument") << body;
    const auto message =
        nlohmann::json::parse(result.body).at("error").at("message").get<std::string>();
    EXPECT_EQ(message,
              "scale takes a JSON object with one member: {\"workers\": N}, N a whole number from "
              "1 to 512");
  }
}

TEST(ParseCommand, SurvivesDeepNesting) {
  EXPECT_TRUE(std::holds_alternative<CommandResult>(
      ParseCommand(Row("scale"), R"({"workers":)" + std::string(100'000, '['))));
}

TEST(ParseCommand, TakesNoArgumentWhereThereIsNone) {
  for (const char* name : {"reload", "restart", "stop"}) {
    for (const char* body : {"", "{}", " {} "}) {
      EXPECT_TRUE(std::holds_alternative<Command>(ParseCommand(Row(name), body))) << name << body;
    }
    for (const char* body : {"null", "[]", "x", R"({"workers":8})", R"({"force":true})"}) {
      const auto parsed = ParseCommand(Row(name), body);
      ASSERT_TRUE(std::holds_alternative<CommandResult>(parsed)) << name << body;
      EXPECT_EQ(ErrorCode(std::get<CommandResult>(parsed)), "bad_argument");
    }
  }
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
