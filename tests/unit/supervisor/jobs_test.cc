#include "supervisor/jobs.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

using std::chrono::seconds;

class FakeClock : public Clock {
 public:
  [[nodiscard]] TimePoint Now() const override { return now; }
  TimePoint now{seconds(1000)};
};

class JobsTest : public testing::Test {
 protected:
  Jobs::Done Record(const std::string& who) {
    return [this, who](const CommandResult& result) {
      answers.push_back(who + ":" + result.body);
      status = result.http_status;
    };
  }

  FakeClock clock;
  Jobs jobs{clock};
  std::vector<std::string> answers;
  int status = 0;
};

TEST_F(JobsTest, AnswersOnceAndOnlyTheCommandThatEnded) {
  jobs.Add(CommandId::kScale, Record("scale1"));
  jobs.Add(CommandId::kReload, Record("reload"));
  jobs.Add(CommandId::kScale, Record("scale2"));

  const auto done = [](const Job&) { return CommandResult{200, "done"}; };
  jobs.Finish(CommandId::kScale, "3 workers are ready", done);
  EXPECT_EQ(answers, (std::vector<std::string>{"scale1:done", "scale2:done"}));
  EXPECT_FALSE(jobs.Running(CommandId::kScale));
  EXPECT_TRUE(jobs.Running(CommandId::kReload));

  jobs.Finish(CommandId::kScale, "again", done);
  EXPECT_EQ(answers.size(), 2U);
  EXPECT_EQ(jobs.Find(1)->message, "3 workers are ready");
}

TEST_F(JobsTest, FailureIsAnErrorDocument) {
  jobs.Add(CommandId::kReload, Record("reload"));
  jobs.Fail(CommandId::kReload, 500, {"reload_failed", "no such module", "Traceback"});
  EXPECT_EQ(status, 500);
  const auto document = nlohmann::json::parse(answers.at(0).substr(sizeof "reload:" - 1));
  EXPECT_EQ(
      document,
      (nlohmann::json{
          {"error",
           {{"code", "reload_failed"}, {"message", "no such module"}, {"detail", "Traceback"}}}}));
}

TEST_F(JobsTest, AreRememberedAlsoWhereNobodyWaits) {
  const int id = jobs.Add(CommandId::kReload, nullptr).id;
  EXPECT_EQ(jobs.Find(id)->state, JobState::kRunning);
  clock.now += seconds(3);
  jobs.Fail(CommandId::kReload, 500, {"reload_failed", "no such module", "Traceback"});
  const Job* job = jobs.Find(id);
  ASSERT_NE(job, nullptr);
  EXPECT_EQ(job->state, JobState::kFailed);
  EXPECT_EQ(job->message, "no such module");
  EXPECT_EQ(job->detail, "Traceback");
  EXPECT_EQ(job->ended - job->started, seconds(3));
  EXPECT_EQ(jobs.Find(id + 1), nullptr);
}

TEST_F(JobsTest, TheOldestThatHaveEndedAreForgotten) {
  const int running = jobs.Add(CommandId::kStop, Record("stop")).id;
  int last = 0;
  for (std::size_t i = 0; i < Jobs::kMostEnded + 5; ++i) {
    last = jobs.Add(CommandId::kScale, nullptr).id;
    jobs.Fail(CommandId::kScale, 409, {"superseded", "another scale came in between", ""});
  }
  EXPECT_NE(jobs.Find(running), nullptr);
  EXPECT_EQ(jobs.Find(running + 1), nullptr);
  EXPECT_NE(jobs.Find(last), nullptr);
}

}  // namespace
}  // namespace gunid
