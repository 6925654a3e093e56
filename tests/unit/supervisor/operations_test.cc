#include "supervisor/operations.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

TEST(Operations, AnswersOnceAndOnlyTheCommandThatEnded) {
  Operations operations;
  std::vector<std::string> answers;
  const auto record = [&](const std::string& who) {
    return [&answers, who](const CommandResult& result) {
      answers.push_back(who + ":" + result.body);
    };
  };
  operations.Add(CommandId::kScale, TimePoint(), record("scale1"));
  operations.Add(CommandId::kReload, TimePoint(), record("reload"));
  operations.Add(CommandId::kScale, TimePoint(), record("scale2"));

  const auto done = [](TimePoint) { return CommandResult{200, "done"}; };
  operations.Finish(CommandId::kScale, done);
  EXPECT_EQ(answers, (std::vector<std::string>{"scale1:done", "scale2:done"}));
  EXPECT_FALSE(operations.Waiting(CommandId::kScale));
  EXPECT_TRUE(operations.Waiting(CommandId::kReload));

  operations.Finish(CommandId::kScale, done);
  EXPECT_EQ(answers.size(), 2U);
}

TEST(Operations, FailureIsAnErrorDocument) {
  Operations operations;
  CommandResult answer;
  operations.Add(CommandId::kReload, TimePoint(),
                 [&](CommandResult result) { answer = std::move(result); });
  operations.Fail(CommandId::kReload, 500, {"reload_failed", "no such module", "Traceback"});
  EXPECT_EQ(answer.http_status, 500);
  EXPECT_EQ(
      nlohmann::json::parse(answer.body),
      (nlohmann::json{
          {"error",
           {{"code", "reload_failed"}, {"message", "no such module"}, {"detail", "Traceback"}}}}));
}

}  // namespace
}  // namespace gunid
