#include "supervisor/report.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "gunid/version.h"
#include "supervisor/rfc3339.h"
#include "supervisor/stack_text.h"

namespace gunid {
namespace {

// Resident set from /proc/PID/statm; 0 for a process that is gone.
std::uint64_t ResidentBytes(int pid) {
  std::uint64_t total_pages = 0;
  std::uint64_t resident_pages = 0;
  std::ifstream("/proc/" + std::to_string(pid) + "/statm") >> total_pages >> resident_pages;
  return resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

MemorySample MemoryOf(const WorkerHandle& worker, const ReportSource& source) {
  if (source.memory == nullptr) return {};
  const auto found = source.memory->find(worker.pid);
  return found != source.memory->end() ? found->second : MemorySample();
}

WorkerReport ReportOf(const WorkerHandle& worker, const ReportSource& source) {
  const MemorySample memory = MemoryOf(worker, source);
  return {
      .id = worker.id,
      .pid = worker.pid,
      .generation = worker.generation,
      .state = std::string(WorkerStateName(worker.state)),
      .uptime_s = Seconds(source.now - worker.created),
      .requests = source.scoreboard.Counters(worker.slot).requests,
      .in_flight = source.scoreboard.InFlight(worker.slot),
      .heartbeat_age_s = Seconds(Since(source.scoreboard.Heartbeat(worker.slot), source.now)),
      .rss_bytes = memory.rss,
      .pss_bytes = memory.pss,
      .private_bytes = memory.unshared,
  };
}

std::vector<WorkerReport> ReportsOfWorkers(const ReportSource& source) {
  std::vector<WorkerReport> reports;
  for (const auto& [id, worker] : source.pool.workers())
    reports.push_back(ReportOf(worker, source));
  return reports;
}

RequestReport ReportOf(const RequestInFlight& request, const WorkerHandle& worker,
                       const ReportSource& source) {
  const RequestId id{worker.id, request.serial};
  const auto space = std::min(request.text.find(' '), request.text.size());
  return {
      .id = ToString(id),
      .worker = worker.id,
      .pid = worker.pid,
      .thread = request.thread_id,
      .method = request.text.substr(0, space),
      .path = request.text.substr(std::min(space + 1, request.text.size())),
      .client = request.client,
      .age_s = Seconds(Since(request.start_ns, source.now)),
      .state = std::string(RequestStateName(source.state_of(id))),
  };
}

// Whose stack is whose: ids of requests by block. None where several requests share a thread, as
// greenlets do.
std::map<const StackBlock*, std::string> RequestsByStack(
    const std::vector<StackBlock>& blocks, const std::vector<RequestInFlight>& requests,
    int worker) {
  std::map<const StackBlock*, std::string> ids;
  for (const RequestInFlight& request : requests) {
    const StackBlock* block = FindStack(blocks, request.serial, request.thread);
    if (block == nullptr) continue;
    const auto [entry, first] = ids.emplace(block, ToString(RequestId{worker, request.serial}));
    if (!first) entry->second.clear();
  }
  return ids;
}

}  // namespace

std::vector<RequestReport> RequestsOf(const WorkerHandle& worker, const ReportSource& source) {
  std::vector<RequestReport> reports;
  for (const RequestInFlight& request : source.scoreboard.Requests(worker.slot)) {
    if (request.serial == 0) continue;  // it begins just now
    reports.push_back(ReportOf(request, worker, source));
  }
  return reports;
}

namespace {

std::vector<DrainingReport> DrainingWorkers(const ReportSource& source) {
  std::vector<DrainingReport> reports;
  for (const auto& [id, worker] : source.pool.workers()) {
    if (worker.state != WorkerState::kDraining && worker.state != WorkerState::kKilling) continue;
    reports.push_back({.worker = id,
                       .pid = worker.pid,
                       .reason = std::string(StopReasonName(worker.reason)),
                       .requests = RequestsOf(worker, source)});
  }
  return reports;
}

TotalsReport Totals(const ReportSource& source) {
  SlotCounters counters = source.statistics.of_gone_workers;
  for (const auto& [id, worker] : source.pool.workers())
    counters += source.scoreboard.Counters(worker.slot);
  const Statistics& statistics = source.statistics;
  return {
      .requests = counters.requests,
      .server_errors = counters.server_errors,
      .bytes_sent = counters.bytes_sent,
      .connections = counters.connections,
      .workers_spawned = statistics.workers_spawned,
      .workers_exited = statistics.workers_exited,
      .workers_crashed = statistics.workers_crashed,
      .reloads = statistics.reloads,
      .reloads_failed = statistics.reloads_failed,
      .timeouts = statistics.timeouts,
      .stops = statistics.stops,
  };
}

}  // namespace

CommandResult StatusDocument(const ReportSource& source) {
  const ServerFacts& facts = source.facts;
  return ToResult(StatusReport{
      .state = facts.state,
      .progress = facts.progress,
      .version = GUNID_VERSION,
      .pid = getpid(),
      .name = facts.name,
      .app = facts.app,
      .generation = source.pool.generation(),
      .started_at = Rfc3339(facts.started_at),
      .uptime_s = Seconds(source.now - facts.started),
      .workers_wanted = source.pool.wanted(),
      .workers_ready = source.pool.ready_count(),
      .listeners = facts.listeners,
      .control_socket = facts.control_socket,
      .last_error = facts.last_error,
      .kept_generations = facts.kept_generations,
      .next_start_s = source.pool.next_start()
                          ? std::max(0.0, Seconds(*source.pool.next_start() - source.now))
                          : 0,
      .draining = DrainingWorkers(source),
  });
}

CommandResult StatsDocument(const ReportSource& source) {
  StatsReport report{
      .uptime_s = Seconds(source.now - source.facts.started),
      .generation = source.pool.generation(),
      .workers_wanted = source.pool.wanted(),
      .workers_ready = source.pool.ready_count(),
      .supervisor_rss_bytes = ResidentBytes(getpid()),
      .totals = Totals(source),
      .workers = ReportsOfWorkers(source),
      .listeners = source.facts.listeners,
  };
  for (const WorkerReport& worker : report.workers) {
    report.in_flight += worker.in_flight;
    report.rss_bytes += worker.rss_bytes;
    report.pss_bytes += worker.pss_bytes;
  }
  report.memory_saved_bytes = report.rss_bytes - std::min(report.pss_bytes, report.rss_bytes);
  return ToResult(report);
}

CommandResult WorkersDocument(const ReportSource& source) {
  return ToResult(WorkersReport{ReportsOfWorkers(source)});
}

CommandResult RequestsDocument(const ReportSource& source) {
  RequestsReport report;
  for (const auto& [id, worker] : source.pool.workers()) {
    std::ranges::move(RequestsOf(worker, source), std::back_inserter(report.requests));
  }
  std::ranges::stable_sort(report.requests, std::greater(), &RequestReport::age_s);
  return ToResult(report);
}

CommandResult StacksDocument(const WorkerHandle& worker, const DumpedStacks& stacks,
                             Scoreboard& scoreboard) {
  if (!stacks.missing.empty()) {
    const std::string message =
        "worker " + std::to_string(worker.id) + " has no Python stack: " + stacks.missing;
    return ErrorResult(500, {"no_stack", message, ""});
  }
  StacksReport report{.worker = worker.id, .pid = worker.pid};
  const auto blocks = ParseStacks(stacks.text);
  const auto ids = RequestsByStack(blocks, scoreboard.Requests(worker.slot), worker.id);
  for (const StackBlock& block : blocks) {
    const auto id = ids.find(&block);
    report.threads.push_back(
        {.thread = block.name, .request = id != ids.end() ? id->second : "", .stack = block.stack});
  }
  return ToResult(report);
}

CommandResult OperationDocument(const ReportSource& source, const std::string& operation,
                                const std::string& message, TimePoint started) {
  return ToResult(OperationReport{
      .operation = operation,
      .outcome = "done",
      .message = message,
      .duration_s = Seconds(source.now - started),
      .generation = source.pool.generation(),
      .workers_wanted = source.pool.wanted(),
      .workers_ready = source.pool.ready_count(),
  });
}

CommandResult JobDocument(const Job& job, const std::string& progress, TimePoint now,
                          int http_status) {
  const bool running = job.state == JobState::kRunning;
  CommandResult result = ToResult(JobReport{
      .id = job.id,
      .operation = std::string(RowOf(job.command).name),
      .state = std::string(JobStateName(job.state)),
      .progress = running ? progress : "",
      .started_at = Rfc3339(job.started_at),
      .duration_s = Seconds((running ? now : job.ended) - job.started),
      .message = job.message,
      .detail = job.detail,
  });
  result.http_status = http_status;
  return result;
}

CommandResult ErrorResult(int http_status, const ErrorReport& error) {
  using nlohmann::json;
  return {http_status, json{{"error", error}}.dump(-1, ' ', false, json::error_handler_t::replace)};
}

std::string WorkersAreReady(int count) {
  return std::to_string(count) + (count == 1 ? " worker is ready" : " workers are ready");
}

}  // namespace gunid
