// The JSON documents of the control API, as types: the server fills them in, gunictl renders them.
// Units are in the names (_s, _bytes); times are RFC 3339 in UTC; members are added, never renamed.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace gunid {

struct WorkerReport {
  int id = 0;   // unique while the server lives; log lines and commands name workers by it
  int pid = 0;  // 0 until the process exists
  int generation = 0;
  std::string state;    // spawning, booting, ready, draining, killing
  double uptime_s = 0;  // since the process was asked for
  std::uint64_t requests = 0;
  int in_flight = 0;
  double heartbeat_age_s = 0;  // since the worker last went round its event loop; 0 while it boots
  // 0 where the process is gone, or may not be looked at.
  std::uint64_t rss_bytes = 0;
  std::uint64_t pss_bytes = 0;      // a page that N processes share counts as 1/N of it
  std::uint64_t private_bytes = 0;  // that nobody shares
};

struct ListenerReport {
  std::string address;  // http://127.0.0.1:8000, unix:/run/app.sock
  int fd = -1;          // in the supervisor
};

struct WorkersReport {
  std::vector<WorkerReport> workers;
};

// A request that a worker has handed to its application.
struct RequestReport {
  std::string id;  // "WORKER-SERIAL"
  int worker = 0;
  int pid = 0;
  int thread = 0;  // the system's number for it (top -H, py-spy)
  std::string method;
  std::string path;    // without the query; cut if it is long
  std::string client;  // address; "" for a Unix socket
  double age_s = 0;    // since the application got it
  std::string state;   // running, cancelled, abandoned (its worker is being replaced)
};

struct RequestsReport {
  std::vector<RequestReport> requests;
};

// Of one thread or greenlet.
struct StackReport {
  std::string thread;   // "Thread 0x00007f12...", "Greenlet 0x00007f12..."
  std::string request;  // id of the request that it runs, "" for none
  std::string stack;    // as Python writes it, the most recent call first
};

struct StacksReport {
  int worker = 0;
  int pid = 0;
  std::vector<StackReport> threads;
};

// What has happened. Types: worker_ready, worker_exited, boot_failed, request_slow, request_timeout,
// request_cancelled, request_abandoned, worker_timeout, memory_limit, reloaded, reload_failed,
// rolled_back, rollback_failed, upgraded, upgrade_failed, crash_looping, crash_loop_ended, scaled,
// stopping.
struct EventReport {
  std::uint64_t id = 0;  // counts from 1
  std::string time;
  std::string type;
  int worker = 0;       // 0: not of a worker
  int pid = 0;          // of that worker
  std::string request;  // id, "" if it is not about one
  std::string message;  // one line
  std::string detail;   // a stack or a traceback, or ""
};

// Asked for what comes after an event, the server may also answer with an empty list: ask again.
struct EventsReport {
  std::vector<EventReport> events;  // oldest first; those before it may have been forgotten
};

// A worker that has ended, or could not begin, without having been told to.
struct CrashReport {
  std::string time;
  int worker = 0;
  int pid = 0;  // 0: there was no process
  int generation = 0;
  std::string reason;                   // crash, oom, operator, timeout, boot_failure
  std::string message;                  // "was killed by SIGSEGV"
  std::string detail;                   // of a boot failure: the application's traceback, or ""
  std::vector<RequestReport> requests;  // that were in flight
  std::string stderr_tail;              // what it wrote to its standard error at last
};

struct CrashesReport {
  std::vector<CrashReport> crashes;  // the last one first
};

// A worker that has been told to go, and what it waits for.
struct DrainingReport {
  int worker = 0;
  int pid = 0;
  std::string reason;
  std::vector<RequestReport> requests;
};

struct StatusReport {
  // starting, serving, reloading, rolling_back, restarting, crash-looping, stopping
  std::string state;
  std::string progress;  // of what is under way, for people; "" for nothing
  std::string version;
  int pid = 0;
  std::string name;
  std::string app;
  int generation = 0;
  std::string started_at;
  double uptime_s = 0;
  int workers_wanted = 0;
  int workers_ready = 0;
  std::vector<ListenerReport> listeners;
  std::string control_socket;
  std::string last_error;  // of the last reload or boot that failed; "" if the last one succeeded
  std::vector<int> kept_generations;  // for a rollback, the last one first
  double next_start_s = 0;  // until a worker is started again, while they crash; 0: at once
  std::vector<DrainingReport> draining;
};

// The answer to `ready` while the server takes requests.
struct ReadyReport {
  std::string state;
  int workers_ready = 0;
};

// Totals count from the start of the server and include workers that are gone: they never go
// backwards.
struct TotalsReport {
  std::uint64_t requests = 0;
  std::uint64_t server_errors = 0;  // responses with a 5xx status
  std::uint64_t bytes_sent = 0;
  std::uint64_t connections = 0;  // accepted
  std::uint64_t workers_spawned = 0;
  std::uint64_t workers_exited = 0;
  std::uint64_t workers_crashed = 0;  // of these, without having been told to go
  std::uint64_t reloads = 0;
  std::uint64_t reloads_failed = 0;
  std::uint64_t timeouts = 0;
  std::map<std::string, std::uint64_t> stops;  // workers that have gone, by reason
};

struct StatsReport {
  double uptime_s = 0;
  int generation = 0;
  int workers_wanted = 0;
  int workers_ready = 0;
  int in_flight = 0;
  std::uint64_t supervisor_rss_bytes = 0;
  std::uint64_t rss_bytes = 0;           // of all workers, with what they share counted for each
  std::uint64_t pss_bytes = 0;           // of all workers
  std::uint64_t memory_saved_bytes = 0;  // by sharing: the difference
  TotalsReport totals;
  std::vector<WorkerReport> workers;
  std::vector<ListenerReport> listeners;
};

// The answer to scale, reload, rollback, restart, cancel and stop.
struct OperationReport {
  std::string operation;
  std::string outcome;  // "done"
  std::string message;  // for people
  double duration_s = 0;
  int generation = 0;
  int workers_wanted = 0;
  int workers_ready = 0;
};

struct ErrorReport {
  std::string code;     // snake_case, stable: bad_argument, busy, boot_failed, ...
  std::string message;  // one line
  std::string detail;   // the application's traceback, or ""
};

// A command that takes its time. The server remembers the last ones.
struct JobReport {
  int id = 0;  // counts from 1
  std::string operation;
  std::string state;     // running, done, failed
  std::string progress;  // of one that runs, for people
  std::string started_at;
  double duration_s = 0;
  std::string message;  // how it has ended, one line
  std::string detail;   // of one that failed: the application's traceback, or ""
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WorkerReport, id, pid, generation, state, uptime_s, requests,
                                   in_flight, heartbeat_age_s, rss_bytes, pss_bytes, private_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ListenerReport, address, fd)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WorkersReport, workers)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RequestReport, id, worker, pid, thread, method, path, client,
                                   age_s, state)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RequestsReport, requests)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StackReport, thread, request, stack)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StacksReport, worker, pid, threads)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(EventReport, id, time, type, worker, pid, request, message,
                                   detail)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(EventsReport, events)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(CrashReport, time, worker, pid, generation, reason,
                                                message, detail, requests, stderr_tail)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CrashesReport, crashes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DrainingReport, worker, pid, reason, requests)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StatusReport, state, version, pid, name, app, generation,
                                   started_at, uptime_s, workers_wanted, workers_ready, listeners,
                                   control_socket, last_error, progress, kept_generations,
                                   next_start_s, draining)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ReadyReport, state, workers_ready)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(JobReport, id, operation, state, progress, started_at,
                                   duration_s, message, detail)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TotalsReport, requests, server_errors, bytes_sent, connections,
                                   workers_spawned, workers_exited, workers_crashed, reloads,
                                   reloads_failed, timeouts, stops)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StatsReport, uptime_s, generation, workers_wanted, workers_ready,
                                   in_flight, supervisor_rss_bytes, rss_bytes, pss_bytes,
                                   memory_saved_bytes, totals, workers, listeners)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(OperationReport, operation, outcome, message, duration_s,
                                   generation, workers_wanted, workers_ready)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ErrorReport, code, message, detail)

}  // namespace gunid
