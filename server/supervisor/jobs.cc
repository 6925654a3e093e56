#include "supervisor/jobs.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace gunid {

std::string_view JobStateName(JobState state) {
  switch (state) {
    case JobState::kRunning:
      return "running";
    case JobState::kDone:
      return "done";
    case JobState::kFailed:
      break;
  }
  return "failed";
}

JobsState Jobs::ToState() const {
  JobsState state{.last_id = last_id_, .jobs = {}};
  for (const Entry& entry : entries_) state.jobs.push_back(entry.job);
  return state;
}

void Jobs::Adopt(const JobsState& state) {
  last_id_ = state.last_id;
  for (const Job& job : state.jobs) entries_.push_back({job, nullptr});
}

void Jobs::AnswerWaiters(const CommandResult& answer) {
  for (Entry& entry : entries_) {
    if (const Done done = std::exchange(entry.done, nullptr)) done(answer);
  }
}

const Job& Jobs::Add(CommandId command, Done done) {
  const auto ended = std::ranges::count_if(
      entries_, [](const Entry& entry) { return entry.job.state != JobState::kRunning; });
  if (static_cast<std::size_t>(ended) >= kMostEnded) {
    entries_.erase(std::ranges::find_if(
        entries_, [](const Entry& entry) { return entry.job.state != JobState::kRunning; }));
  }
  entries_.push_back({{.id = ++last_id_,
                       .command = command,
                       .started = clock_.Now(),
                       .started_at = std::time(nullptr)},
                      std::move(done)});
  return entries_.back().job;
}

bool Jobs::Running(CommandId command) const {
  return std::ranges::any_of(entries_, [command](const Entry& entry) {
    return entry.job.command == command && entry.job.state == JobState::kRunning;
  });
}

const Job* Jobs::Find(int id) const {
  const auto found =
      std::ranges::find_if(entries_, [id](const Entry& entry) { return entry.job.id == id; });
  return found != entries_.end() ? &found->job : nullptr;
}

void Jobs::Finish(CommandId command, const std::string& message,
                  const std::function<CommandResult(const Job&)>& answer) {
  End(command, JobState::kDone, message, "", answer);
}

void Jobs::Fail(CommandId command, int http_status, const ErrorReport& error) {
  End(command, JobState::kFailed, error.message, error.detail,
      [&](const Job& /*job*/) { return ErrorResult(http_status, error); });
}

void Jobs::End(CommandId command, JobState state, const std::string& message,
               const std::string& detail, const std::function<CommandResult(const Job&)>& answer) {
  std::vector<std::pair<Done, CommandResult>> answers;
  for (Entry& entry : entries_) {
    Job& job = entry.job;
    if (job.command != command || job.state != JobState::kRunning) continue;
    job.state = state;
    job.ended = clock_.Now();
    job.message = message;
    job.detail = detail;
    if (entry.done) answers.emplace_back(std::exchange(entry.done, nullptr), answer(job));
  }
  for (auto& [done, result] : answers) done(std::move(result));
}

}  // namespace gunid
