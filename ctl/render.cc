#include "ctl/render.h"

#include <array>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "ctl/escape.h"
#include "ctl/table.h"
#include "ctl/units.h"
#include "gunid/reports.h"

namespace gunid {

namespace {

std::string IdOrDash(int id) {
  return id == 0 ? "-" : std::to_string(id);
}

std::string TextOrDash(const std::string& text) {
  return text.empty() ? "-" : EscapeControl(text);
}

std::string BytesOrDash(std::uint64_t bytes) {
  return bytes == 0 ? "-" : Bytes(bytes);
}

// Further in than the lines around it.
std::string Indented(const std::string& lines) {
  std::string text;
  std::istringstream stream(lines);
  for (std::string line; std::getline(stream, line);) {
    text += line.empty() ? "\n" : "    " + EscapeControlLines(line) + "\n";
  }
  return text;
}

using W = WorkerReport;
constexpr std::array kWorkerColumns = {
    Column<W>{"ID", CellStyle::kNumber, [](const W& w) { return std::to_string(w.id); }},
    Column<W>{"PID", CellStyle::kNumber, [](const W& w) { return IdOrDash(w.pid); }},
    Column<W>{"GEN", CellStyle::kNumber, [](const W& w) { return std::to_string(w.generation); }},
    Column<W>{"STATE", CellStyle::kState, [](const W& w) { return EscapeControl(w.state); }},
    Column<W>{"UPTIME", CellStyle::kNumber, [](const W& w) { return Duration(w.uptime_s); }},
    Column<W>{"REQUESTS", CellStyle::kNumber,
              [](const W& w) { return std::to_string(w.requests); }},
    Column<W>{"IN-FLIGHT", CellStyle::kNumber,
              [](const W& w) { return std::to_string(w.in_flight); }},
    Column<W>{"HEARTBEAT", CellStyle::kNumber,
              [](const W& w) { return Duration(w.heartbeat_age_s); }},
    Column<W>{"RSS", CellStyle::kNumber, [](const W& w) { return BytesOrDash(w.rss_bytes); }},
    Column<W>{"PSS", CellStyle::kNumber, [](const W& w) { return BytesOrDash(w.pss_bytes); }},
};

using R = RequestReport;
constexpr std::array kRequestColumns = {
    Column<R>{"REQUEST", CellStyle::kText, [](const R& r) { return EscapeControl(r.id); }},
    Column<R>{"WORKER", CellStyle::kNumber, [](const R& r) { return std::to_string(r.worker); }},
    Column<R>{"PID", CellStyle::kNumber, [](const R& r) { return IdOrDash(r.pid); }},
    Column<R>{"THREAD", CellStyle::kNumber, [](const R& r) { return IdOrDash(r.thread); }},
    Column<R>{"AGE", CellStyle::kNumber, [](const R& r) { return Duration(r.age_s); }},
    Column<R>{"CLIENT", CellStyle::kText, [](const R& r) { return TextOrDash(r.client); }},
    Column<R>{"STATE", CellStyle::kState, [](const R& r) { return EscapeControl(r.state); }},
    Column<R>{"METHOD", CellStyle::kText, [](const R& r) { return TextOrDash(r.method); }},
    Column<R>{"PATH", CellStyle::kText, [](const R& r) { return TextOrDash(r.path); }},
};

constexpr const char* kGap = "  ";
constexpr std::size_t kTypeWidth = std::string_view("request_cancelled").size();
constexpr std::size_t kSubjectWidth = std::string_view("request 12-12345").size();

std::string Subject(const EventReport& event) {
  if (!event.request.empty()) return "request " + EscapeControl(event.request);
  return event.worker == 0 ? "server" : "worker " + std::to_string(event.worker);
}

// Lines of text from elsewhere, the last one ended too.
std::string EndedLines(const std::string& text) {
  std::string lines = EscapeControlLines(text);
  if (!lines.empty() && lines.back() != '\n') lines += '\n';
  return lines;
}

std::string Addresses(const std::vector<ListenerReport>& listeners) {
  std::string text;
  for (const ListenerReport& listener : listeners) {
    text += (text.empty() ? "" : ", ") + EscapeControl(listener.address);
  }
  return text.empty() ? "none" : text;
}

std::string ReadyOfWanted(int ready, int wanted) {
  return std::to_string(ready) + " ready of " + std::to_string(wanted) + " wanted";
}

std::string JoinNumbers(const std::vector<int>& numbers) {
  std::string joined;
  for (const int number : numbers) joined += (joined.empty() ? "" : ", ") + std::to_string(number);
  return joined;
}

// "worker 3 (pid 4711, reload): waits for GET /slow (3-17, 2.1 s)"
std::string DescribeDraining(const DrainingReport& worker) {
  std::string text = "worker " + std::to_string(worker.worker) + " (pid " +
                     std::to_string(worker.pid) + ", " + EscapeControl(worker.reason) + ")";
  for (const RequestReport& request : worker.requests) {
    text += (&request == worker.requests.data() ? ": waits for " : ", ") +
            EscapeControl(request.method) + " " + EscapeControl(request.path) + " (" +
            EscapeControl(request.id) + ", " + Duration(request.age_s) + ")";
  }
  return text;
}

std::string Render(const StatusReport& status, bool colour) {
  std::vector<KeyValue> rows = {
      {"state", Coloured(EscapeControl(status.state), status.state, colour)},
      {"workers", ReadyOfWanted(status.workers_ready, status.workers_wanted)},
      {"generation", std::to_string(status.generation)},
      {"name", EscapeControl(status.name)},
      {"app", EscapeControl(status.app)},
      {"listening at", Addresses(status.listeners)},
      {"pid", std::to_string(status.pid)},
      {"uptime", Duration(status.uptime_s) + ", since " + EscapeControl(status.started_at)},
      {"version", EscapeControl(status.version)},
      {"control socket", EscapeControl(status.control_socket)},
  };
  if (!status.progress.empty()) rows.push_back({"progress", EscapeControl(status.progress)});
  if (!status.kept_generations.empty()) {
    rows.push_back({"kept for rollback", JoinNumbers(status.kept_generations)});
  }
  if (status.next_start_s > 0) rows.push_back({"next start in", Duration(status.next_start_s)});
  if (!status.last_error.empty()) rows.push_back({"last error", EscapeControl(status.last_error)});
  for (const DrainingReport& worker : status.draining) {
    rows.push_back({"draining", DescribeDraining(worker)});
  }
  return Block(rows);
}

// One paragraph each.
std::string Render(const CrashesReport& report, bool /*colour*/) {
  std::string text;
  for (const CrashReport& crash : report.crashes) {
    text += (text.empty() ? "" : "\n") + EscapeControl(crash.time) + "  worker " +
            std::to_string(crash.worker) + " (pid " + IdOrDash(crash.pid) + ", generation " +
            std::to_string(crash.generation) + "): " + EscapeControl(crash.message) +
            "; reason: " + EscapeControl(crash.reason) + "\n";
    for (const RequestReport& request : crash.requests) {
      text += "    in flight: " + EscapeControl(request.method) + " " +
              EscapeControl(request.path) + " (" + EscapeControl(request.id) + ", " +
              Duration(request.age_s) + ", client " + TextOrDash(request.client) + ")\n";
    }
    text += EndedLines(crash.detail);
    if (!crash.stderr_tail.empty()) {
      text += "    standard error, at last:\n" + Indented(crash.stderr_tail);
    }
  }
  return text.empty() ? "no worker has crashed\n" : text;
}

std::string Render(const ReadyReport& ready, bool colour) {
  return Block({{"state", Coloured(EscapeControl(ready.state), ready.state, colour)},
                {"workers", std::to_string(ready.workers_ready)}});
}

std::string Render(const JobReport& job, bool colour) {
  std::vector<KeyValue> rows = {
      {"job", std::to_string(job.id)},
      {"operation", EscapeControl(job.operation)},
      {"state", Coloured(EscapeControl(job.state), job.state, colour)},
      {"for", Duration(job.duration_s) + ", since " + EscapeControl(job.started_at)},
  };
  if (!job.progress.empty()) rows.push_back({"progress", EscapeControl(job.progress)});
  if (!job.message.empty()) rows.push_back({"outcome", EscapeControl(job.message)});
  return Block(rows) + EndedLines(job.detail);
}

std::string Render(const WorkersReport& report, bool colour) {
  return Table(kWorkerColumns, report.workers, colour);
}

std::string Render(const StatsReport& stats, bool colour) {
  const TotalsReport& totals = stats.totals;
  return Block({
             {"uptime", Duration(stats.uptime_s)},
             {"generation", std::to_string(stats.generation)},
             {"workers", ReadyOfWanted(stats.workers_ready, stats.workers_wanted)},
             {"listening at", Addresses(stats.listeners)},
             {"supervisor memory", Bytes(stats.supervisor_rss_bytes)},
             {"workers memory", Bytes(stats.pss_bytes) + " (PSS)"},
             {"saved by sharing", Bytes(stats.memory_saved_bytes)},
             {"requests in flight", std::to_string(stats.in_flight)},
             {"requests", std::to_string(totals.requests)},
             {"server errors", std::to_string(totals.server_errors)},
             {"timeouts", std::to_string(totals.timeouts)},
             {"bytes sent", Bytes(totals.bytes_sent)},
             {"connections", std::to_string(totals.connections)},
             {"workers spawned", std::to_string(totals.workers_spawned)},
             {"workers exited", std::to_string(totals.workers_exited)},
             {"workers crashed", std::to_string(totals.workers_crashed)},
             {"reloads", std::to_string(totals.reloads)},
             {"reloads failed", std::to_string(totals.reloads_failed)},
         }) +
         "\n" + Table(kWorkerColumns, stats.workers, colour);
}

std::string Render(const RequestsReport& report, bool colour) {
  if (report.requests.empty()) return "no requests in flight\n";
  return Table(kRequestColumns, report.requests, colour);
}

std::string Render(const StackReport& thread) {
  std::string text = EscapeControl(thread.thread);
  if (!thread.request.empty()) text += ", request " + EscapeControl(thread.request);
  return text + "\n" + EndedLines(thread.stack);
}

std::string Render(const StacksReport& report, bool /*colour*/) {
  if (report.threads.empty()) return "no thread runs Python\n";
  std::string text;
  for (const StackReport& thread : report.threads)
    text += (text.empty() ? "" : "\n") + Render(thread);
  return text;
}

std::string Render(const EventsReport& report, bool /*colour*/) {
  if (report.events.empty()) return "no events\n";
  std::string text;
  for (const EventReport& event : report.events) text += RenderEvent(event);
  return text;
}

std::string Render(const OperationReport& report, bool /*colour*/) {
  return EscapeControl(report.message) + "\n";
}

template <class Report>
std::string RenderAs(const std::string& body, bool colour) {
  return Render(nlohmann::json::parse(body).get<Report>(), colour);
}

// Of a job that has ended.
std::string RenderOutcome(const std::string& body) {
  const auto job = nlohmann::json::parse(body).get<JobReport>();
  return EscapeControl(job.message) + "\n" + EndedLines(job.detail);
}

}  // namespace

// One line, then the detail, further in than the lines of other events.
std::string RenderEvent(const EventReport& event) {
  std::string text =
      EscapeControl(event.time) + kGap + PadRight(EscapeControl(event.type), kTypeWidth) + kGap +
      PadRight(Subject(event), kSubjectWidth) + kGap + EscapeControl(event.message) + "\n";
  return text + Indented(event.detail);
}

std::optional<std::string> RenderReport(const Command& command, const std::string& body,
                                        bool colour) {
  try {
    if (!command.wait) return RenderAs<JobReport>(body, colour);
    switch (command.id) {
      case CommandId::kStatus:
        return RenderAs<StatusReport>(body, colour);
      case CommandId::kReady:
        return RenderAs<ReadyReport>(body, colour);
      case CommandId::kCrashes:
        return RenderAs<CrashesReport>(body, colour);
      case CommandId::kJob:
        return RenderAs<JobReport>(body, colour);
      case CommandId::kUpgrade:
        return RenderOutcome(body);
      case CommandId::kStats:
        return RenderAs<StatsReport>(body, colour);
      case CommandId::kWorkers:
        return RenderAs<WorkersReport>(body, colour);
      case CommandId::kRequests:
        return RenderAs<RequestsReport>(body, colour);
      case CommandId::kStack:
        return RenderAs<StacksReport>(body, colour);
      case CommandId::kEvents:
        return RenderAs<EventsReport>(body, colour);
      case CommandId::kScale:
      case CommandId::kReload:
      case CommandId::kRollback:
      case CommandId::kRestart:
      case CommandId::kCancel:
      case CommandId::kStop:
        return RenderAs<OperationReport>(body, colour);
    }
  } catch (const nlohmann::json::exception&) {
  }
  return std::nullopt;
}

std::optional<std::string> RenderError(const std::string& body) {
  try {
    const auto error = nlohmann::json::parse(body).at("error").get<ErrorReport>();
    return EscapeControl(error.message) + "\n" + EndedLines(error.detail);
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace gunid
