// Commands that take their time: scale, reload, rollback, restart, stop. A job is running until it
// is done or has failed; whoever waits for it is answered then, and for a while it is remembered
// for whoever asks later. Supervisor's loop thread.
#pragma once

#include <cstdint>
#include <ctime>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "supervisor/command.h"

namespace gunid {

enum class JobState : std::uint8_t { kRunning, kDone, kFailed };

// As the API writes it: "running", ...
std::string_view JobStateName(JobState state);

struct Job {
  int id = 0;
  CommandId command = CommandId::kReload;
  TimePoint started{};
  std::time_t started_at = 0;
  JobState state = JobState::kRunning;
  TimePoint ended{};
  std::string message;  // how it has ended
  std::string detail;
};

struct JobsState {
  int last_id = 0;
  std::vector<Job> jobs;
};

class Jobs {
 public:
  using Done = std::function<void(CommandResult)>;

  static constexpr std::size_t kMostEnded = 100;  // that are remembered

  explicit Jobs(const Clock& clock) : clock_(clock) {}

  // For the program that takes the supervisor's place: nobody waits there for those that run.
  [[nodiscard]] JobsState ToState() const;
  void Adopt(const JobsState& state);
  // Those that wait for a job that runs are answered, and it goes on.
  void AnswerWaiters(const CommandResult& answer);

  // `done` is called when it has ended; null: nobody waits.
  const Job& Add(CommandId command, Done done);
  [[nodiscard]] bool Running(CommandId command) const;
  [[nodiscard]] const Job* Find(int id) const;

  // Ends every running job of that command: with an answer for each, or with one error for all.
  void Finish(CommandId command, const std::string& message,
              const std::function<CommandResult(const Job&)>& answer);
  void Fail(CommandId command, int http_status, const ErrorReport& error);

 private:
  struct Entry {
    Job job;
    Done done;
  };

  void End(CommandId command, JobState state, const std::string& message, const std::string& detail,
           const std::function<CommandResult(const Job&)>& answer);

  const Clock& clock_;
  std::deque<Entry> entries_;  // by id
  int last_id_ = 0;
};

}  // namespace gunid
