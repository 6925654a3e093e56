#include "ctl/render.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "gunid/reports.h"

namespace gunid {

namespace {

constexpr std::string_view kColumnGap = "  ";

std::string Escape(std::string_view text, std::string_view kept) {
  std::string escaped;
  const auto hex = [&escaped](unsigned char byte) {
    char code[5];
    std::snprintf(code, sizeof code, "\\x%02x", byte);
    escaped += code;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (kept.find(text[i]) != std::string_view::npos) {
      escaped += text[i];
    } else if (byte < 0x20 || byte == 0x7f) {
      hex(byte);
    } else if (byte == 0xc2 && next >= 0x80 &&
               next < 0xa0) {  // U+0080..U+009F: 8-bit control characters
      hex(byte);
      hex(next);
      ++i;
    } else {
      escaped += text[i];
    }
  }
  return escaped;
}

// Characters, not bytes: UTF-8 continuation bytes take no place.
std::size_t Width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string Decimal(double value, const char* unit) {
  char text[64];
  std::snprintf(text, sizeof text, "%.1f%s", value, unit);
  return text;
}

std::string Duration(double seconds) {
  if (seconds < 0.9995)
    return std::to_string(static_cast<int>(std::max(seconds, 0.0) * 1000 + 0.5)) + "ms";
  if (seconds < 60) return Decimal(seconds, "s");
  constexpr double kLongest = 1e12;  // also keeps the conversion defined
  const auto total = static_cast<std::uint64_t>(std::min(seconds, kLongest));
  char text[64];
  const auto pair = [&text](std::uint64_t big, char unit, std::uint64_t small, char small_unit) {
    std::snprintf(text, sizeof text, "%llu%c%02llu%c", static_cast<unsigned long long>(big), unit,
                  static_cast<unsigned long long>(small), small_unit);
    return std::string(text);
  };
  if (total < 3600) return pair(total / 60, 'm', total % 60, 's');
  if (total < 86400) return pair(total / 3600, 'h', total % 3600 / 60, 'm');
  return pair(total / 86400, 'd', total % 86400 / 3600, 'h');
}

std::string Bytes(std::uint64_t bytes) {
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + "B";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return Decimal(value, kUnits[unit]);
}

std::string Coloured(std::string text, std::string_view state, bool colour) {
  if (!colour) return text;
  const char* code = "33";  // yellow: on its way
  if (state == "ready" || state == "serving") code = "32";
  if (state == "killing") code = "31";
  return "\x1b[" + std::string(code) + "m" + std::move(text) + "\x1b[0m";
}

struct KeyValue {
  std::string key;
  std::string value;  // may hold colour; nothing is aligned behind it
};

std::string Block(const std::vector<KeyValue>& rows) {
  std::size_t width = 0;
  for (const KeyValue& row : rows) width = std::max(width, row.key.size());
  std::string text;
  for (const KeyValue& row : rows) {
    text += row.key + std::string(width - row.key.size(), ' ');
    text += std::string(kColumnGap) + row.value + "\n";
  }
  return text;
}

struct Column {
  const char* title;
  std::string (*cell)(const WorkerReport&);
  bool left = false;
  bool state = false;  // coloured by what it says
};

constexpr std::array kWorkerColumns = {
    Column{"ID", [](const WorkerReport& w) { return std::to_string(w.id); }},
    Column{"PID", [](const WorkerReport& w) { return w.pid == 0 ? "-" : std::to_string(w.pid); }},
    Column{"GEN", [](const WorkerReport& w) { return std::to_string(w.generation); }},
    Column{"STATE", [](const WorkerReport& w) { return EscapeControl(w.state); }, true, true},
    Column{"UPTIME", [](const WorkerReport& w) { return Duration(w.uptime_s); }},
    Column{"REQUESTS", [](const WorkerReport& w) { return std::to_string(w.requests); }},
    Column{"IN-FLIGHT", [](const WorkerReport& w) { return std::to_string(w.in_flight); }},
    Column{"HEARTBEAT", [](const WorkerReport& w) { return Duration(w.heartbeat_age_s); }},
    Column{"RSS", [](const WorkerReport& w) { return Bytes(w.rss_bytes); }},
};

std::string WorkerTable(const std::vector<WorkerReport>& workers, bool colour) {
  using Row = std::array<std::string, kWorkerColumns.size()>;
  std::vector<Row> rows(workers.size() + 1);
  std::array<std::size_t, kWorkerColumns.size()> widths{};
  for (std::size_t c = 0; c < kWorkerColumns.size(); ++c) {
    rows[0][c] = kWorkerColumns[c].title;
    for (std::size_t w = 0; w < workers.size(); ++w)
      rows[w + 1][c] = kWorkerColumns[c].cell(workers[w]);
    for (const Row& row : rows) widths[c] = std::max(widths[c], Width(row[c]));
  }
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t c = 0; c < kWorkerColumns.size(); ++c) {
      const std::string& cell = rows[r][c];
      const std::string padding(widths[c] - Width(cell), ' ');
      if (c > 0) text += kColumnGap;
      if (!kWorkerColumns[c].left) text += padding;
      text += Coloured(cell, cell, colour && r > 0 && kWorkerColumns[c].state);
      if (kWorkerColumns[c].left) text += padding;
    }
    text += '\n';
  }
  return text;
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
  if (!status.last_error.empty()) rows.push_back({"last error", EscapeControl(status.last_error)});
  return Block(rows);
}

std::string Render(const WorkersReport& report, bool colour) {
  return WorkerTable(report.workers, colour);
}

std::string Render(const StatsReport& stats, bool colour) {
  const TotalsReport& totals = stats.totals;
  return Block({
             {"uptime", Duration(stats.uptime_s)},
             {"generation", std::to_string(stats.generation)},
             {"workers", ReadyOfWanted(stats.workers_ready, stats.workers_wanted)},
             {"listening at", Addresses(stats.listeners)},
             {"supervisor memory", Bytes(stats.supervisor_rss_bytes)},
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
         "\n" + WorkerTable(stats.workers, colour);
}

std::string Render(const OperationReport& report, bool /*colour*/) {
  return EscapeControl(report.message) + "\n";
}

template <class Report>
std::string RenderAs(const std::string& body, bool colour) {
  return Render(nlohmann::json::parse(body).get<Report>(), colour);
}

}  // namespace

std::string EscapeControl(std::string_view text) {
  return Escape(text, "");
}

std::string EscapeControlLines(std::string_view text) {
  return Escape(text, "\n\t");
}

std::optional<std::string> RenderReport(CommandId command, const std::string& body, bool colour) {
  try {
    switch (command) {
      case CommandId::kStatus:
        return RenderAs<StatusReport>(body, colour);
      case CommandId::kStats:
        return RenderAs<StatsReport>(body, colour);
      case CommandId::kWorkers:
        return RenderAs<WorkersReport>(body, colour);
      case CommandId::kScale:
      case CommandId::kReload:
      case CommandId::kRestart:
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
    std::string text = EscapeControl(error.message) + "\n";
    if (!error.detail.empty()) text += EscapeControlLines(error.detail);
    if (text.back() != '\n') text += '\n';
    return text;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace gunid
