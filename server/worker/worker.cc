#include "worker/worker.h"

#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <variant>

#include "base/forked_child.h"
#include "base/log.h"
#include "engine/engine.h"
#include "gunid/exit_codes.h"
#include "python/app_loader.h"
#include "python/executor_greenlets.h"
#include "python/executor_inline.h"
#include "python/executor_threads.h"
#include "python/gil.h"
#include "python/interpreter.h"
#include "worker/engine_options.h"
#include "worker/loaded_files_report.h"
#include "worker/supervisor_link.h"
#include "worker/worker_signals.h"

namespace gunid {
namespace {

void ReopenLogs(std::optional<AccessLog>& access_log) {
  for (const Status& reopened : {ReopenLog(), access_log ? access_log->Reopen() : Status()}) {
    if (!reopened) spdlog::error("{}", reopened.error().message);
  }
}

}  // namespace

int Worker::Run() {
  if (!WaitForGo()) return EXIT_FAILURE;
  // A backstop for a worker that is stuck and does not see the end of its channel. Only now, with
  // the supervisor as its parent: armed before, it would fire at the end of the intermediate
  // process of the double fork.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The zygote's file may have been rotated away since it was opened.
  // A worker of another user than root's cannot make a new one: it writes to the old one until the
  // supervisor has made it, and says so by SIGUSR1.
  if (Status reopened = ReopenLog(); !reopened) spdlog::warn("{}", reopened.error().message);
  if (auto& file = options_.access_log) {
    if (Status reopened = file->Reopen(); !reopened) {
      spdlog::warn("{}", reopened.error().message);
    }
  }
  spdlog::info("Booting worker with pid: {}", getpid());

  PyRef application = std::move(options_.application);
  if (application) {
    EnableGarbageCollection();
    ReseedNumpy();
  }
  return Serve(std::move(application));
}

bool Worker::WaitForGo() {
  auto packet = options_.channel.Receive();
  if (!packet || !*packet) return false;
  auto message = DecodeMessage((*packet)->bytes);
  return message && std::holds_alternative<Go>(*message);
}

int Worker::Serve(PyRef application) {
  std::vector<int> inherited{options_.channel.fd(), options_.handover.sending_fd(),
                             options_.handover.receiving_fd()};
  for (const Listener& listener : options_.listeners) inherited.push_back(listener.fd.get());
  DetachForkedChildren(inherited, RestoreDefaultSignals);

  std::optional<AccessLog> access_log = MakeAccessLog();
  Engine* engine = nullptr;
  bool stopped = false;
  WorkerSignals signals({.drain = [&] { engine->Drain(); },
                         .stop =
                             [&] {
                               stopped = true;
                               engine->Stop();
                             },
                         .reopen_logs = [&] { ReopenLogs(access_log); }});

  if (!application) {
    auto loaded = LoadApp(options_.settings.wsgi_app);
    if (!loaded) {
      if (options_.settings.reload) LoadedFilesReport(options_.channel).Send();
      return FailToBoot(loaded.error());
    }
    application = std::move(*loaded);
  }
  const Settings& settings = options_.settings;
  std::optional<LoadedFilesReport> loaded_files;
  if (settings.reload) loaded_files.emplace(options_.channel).Send();
  WsgiOptions wsgi{.multithread = settings.threaded() || settings.greenlets(),
                   .sendfile = settings.sendfile,
                   .write_timeout_s = settings.send_timeout,
                   .errors_fd = LogFd()};
  if (settings.greenlets()) wsgi.wait_for_client = WaitForClientInGreenlet;
  auto call = WsgiCall::Create(std::move(application), wsgi);
  if (!call) return FailToBoot(call.error());

  const std::unique_ptr<Executor> executor = MakeExecutor(**call);
  {
    std::optional<SupervisorLink> link;
    const auto end_at_once = [] {
      spdlog::info("Worker exiting (pid: {})", getpid());
      _exit(exit_code::kOk);
    };
    const EngineEvents events{
        .started = [&] { link->Send(WorkerReady{link->listener_id()}); },
        .health_check_failed = [this](const Error& error) { FailToBoot(error); },
        .request_done =
            [&, limit = RequestLimit()](std::uint64_t count) {
              if (count == limit) link->Send(RecycleWanted{"max_requests"});
            },
        .accepting_stopped = [&] { link->Send(AcceptingStopped{}); },
        .cut_short = end_at_once,
    };
    Engine running(EngineOptionsFrom(settings), options_.listeners, *executor, options_.slot,
                   events, &options_.handover, access_log ? &*access_log : nullptr);
    engine = &running;
    link.emplace(
        options_.channel,
        SupervisorRequests{
            .cancel = [&](std::uint64_t serial) { executor->Cancel(serial); },
            .write_stacks = [&] { executor->WriteStacks([&] { link->Send(StacksWritten{}); }); },
            .abandon = [&](std::uint64_t serial) { running.Abandon(serial); },
        });
    if (loaded_files) loaded_files->Start();
    signals.Attach(running.loop());
    executor->Run(running);
    if (stopped) end_at_once();
    {
      const GilReleased released;  // the link may wait for it, to cancel a request
      link.reset();
      loaded_files.reset();
    }
    signals.Detach();
  }
  call->reset();
  spdlog::info("Worker exiting (pid: {})", getpid());
  FinalizePython();
  return exit_code::kOk;
}

std::optional<AccessLog> Worker::MakeAccessLog() {
  // The settings table has judged the format already.
  auto format = ParseAccessLogFormat(options_.settings.access_log_format);
  if (!options_.access_log || !format) return std::nullopt;
  return AccessLog(std::move(*format), std::move(*options_.access_log));
}

std::unique_ptr<Executor> Worker::MakeExecutor(WsgiCall& call) const {
  const Settings& settings = options_.settings;
  if (settings.greenlets()) {
    return std::make_unique<GreenletExecutor>(call, settings.worker_connections);
  }
  if (!settings.threaded()) return std::make_unique<InlineExecutor>(call);
  return std::make_unique<ThreadExecutor>(call, static_cast<int>(settings.threads));
}

int Worker::FailToBoot(const Error& error) {
  const BootFailure failure{error.exit_code, CutToFit(error.message, kLongestMessage),
                            CutToFit(error.detail)};
  static_cast<void>(options_.channel.Send(EncodeMessage(failure)));
  // Without the interpreter's end: what the application left half-made must not hold the process
  // up.
  _exit(error.exit_code);
}

// max_requests with its jitter, drawn anew in each worker so that they are not all replaced at
// once; 0: no limit.
std::uint64_t Worker::RequestLimit() const {
  const Settings& settings = options_.settings;
  if (settings.max_requests == 0) return 0;
  std::random_device source;
  std::uniform_int_distribution<std::int64_t> jitter(0, settings.max_requests_jitter);
  return static_cast<std::uint64_t>(settings.max_requests + jitter(source));
}

}  // namespace gunid
