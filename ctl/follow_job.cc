#include "ctl/follow_job.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "gunid/exit_codes.h"
#include "gunid/reports.h"

namespace gunid {

namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr auto kPollPeriod = std::chrono::milliseconds(100);
constexpr auto kLongestAbsence = std::chrono::seconds(5);

std::optional<JobReport> ReadJob(const Reply& reply) {
  try {
    return nlohmann::json::parse(reply.body).get<JobReport>();
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace

Reply FollowJob(const Reply& first, std::optional<double> timeout_s,
                const std::function<Reply(const Command&)>& ask) {
  if (ExitCode(first) != ctl_exit::kDone) return first;
  const auto begun = ReadJob(first);
  if (!begun) return first;
  Command command{.id = CommandId::kJob, .job = begun->id};
  const auto start = steady_clock::now();
  for (auto seen = start;;) {
    std::this_thread::sleep_for(kPollPeriod);
    Reply reply = ask(command);
    const auto now = steady_clock::now();
    if (ExitCode(reply) == ctl_exit::kDone) {
      seen = now;
      const auto job = ReadJob(reply);
      if (!job || job->state != "running") return reply;
    } else if (now - seen > kLongestAbsence) {
      return reply;
    }
    if (timeout_s && duration<double>(now - start).count() > *timeout_s) {
      return {.outcome = Reply::Outcome::kTimedOut,
              .error = "job " + std::to_string(begun->id) + " has not ended within the timeout"};
    }
  }
}

}  // namespace gunid
