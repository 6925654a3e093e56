// The documents of the control API (gunid/reports.h), made from the supervisor's state.
// Supervisor's loop thread.
#pragma once

#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "ipc/scoreboard.h"
#include "supervisor/command.h"
#include "supervisor/jobs.h"
#include "supervisor/memory_sampler.h"
#include "supervisor/request_watch.h"
#include "supervisor/stack_dump.h"
#include "supervisor/statistics.h"
#include "supervisor/worker_pool.h"

namespace gunid {

// What the documents say of the server besides its workers and counters.
struct ServerFacts {
  std::string state;  // as StatusReport's
  std::string progress;
  std::vector<int> kept_generations;
  std::string name;
  std::string app;
  std::string control_socket;
  std::string last_error;
  TimePoint started{};
  std::time_t started_at = 0;  // the same as wall-clock time
  std::vector<ListenerReport> listeners;
};

struct ReportSource {
  const ServerFacts& facts;
  const WorkerPool& pool;
  Scoreboard& scoreboard;
  const Statistics& statistics;
  std::function<RequestState(RequestId)> state_of;
  TimePoint now;
  const MemorySamples* memory = nullptr;  // of the workers; null where nobody needs it
};

// Bytes that are not UTF-8 are replaced.
template <class Report>
CommandResult ToResult(const Report& report) {
  using nlohmann::json;
  return {200, json(report).dump(-1, ' ', false, json::error_handler_t::replace)};
}

CommandResult StatusDocument(const ReportSource& source);
CommandResult StatsDocument(const ReportSource& source);
CommandResult WorkersDocument(const ReportSource& source);
// Those in flight, as they are now.
std::vector<RequestReport> RequestsOf(const WorkerHandle& worker, const ReportSource& source);

CommandResult RequestsDocument(const ReportSource& source);
CommandResult StacksDocument(const WorkerHandle& worker, const DumpedStacks& stacks,
                             Scoreboard& scoreboard);
CommandResult OperationDocument(const ReportSource& source, const std::string& operation,
                                const std::string& message, TimePoint started);

// `progress`: of what is under way.
CommandResult JobDocument(const Job& job, const std::string& progress, TimePoint now,
                          int http_status = 200);

// "8 workers are ready", "1 worker is ready".
std::string WorkersAreReady(int count);

}  // namespace gunid
