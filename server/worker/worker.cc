#include "worker/worker.h"

#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <memory>
#include <random>
#include <variant>

#include "base/forked_child.h"
#include "base/log.h"
#include "engine/engine.h"
#include "gunid/exit_codes.h"
#include "http/field_syntax.h"
#include "python/app_loader.h"
#include "python/executor_inline.h"
#include "python/executor_threads.h"
#include "python/interpreter.h"
#include "worker/worker_signals.h"

namespace gunid {
namespace {

// The supervisor's end of the channel is closed when it is dead, however it died: nothing is left
// to serve for.
class Lifeline : public EventHandler {
 public:
  Lifeline(EventLoop& loop, const MessageSocket& channel) : loop_(loop), fd_(channel.fd()) {
    loop_.Add(fd_, EPOLLIN, this);
  }
  ~Lifeline() override { loop_.Remove(fd_, this); }

 private:
  void OnEvents(std::uint32_t /*events*/) override { _exit(EXIT_FAILURE); }

  EventLoop& loop_;
  int fd_;
};

template <class Choice>
Choice ChoiceOf(std::string_view text,
                std::initializer_list<std::pair<std::string_view, Choice>> choices) {
  for (const auto& [name, choice] : choices) {
    if (name == text) return choice;
  }
  return choices.begin()->second;  // the settings table lets no other text through
}

std::vector<std::string> SplitNames(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view name = TrimWhitespace(list.substr(0, comma));
    if (!name.empty()) names.emplace_back(name);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return names;
}

// The settings table has judged the list already.
IpNetworks NetworksOf(const std::string& list) {
  Result<IpNetworks> networks = IpNetworks::Parse(list);
  return networks ? std::move(*networks) : IpNetworks();
}

ForwardingRules ForwardingRulesFrom(const Settings& settings) {
  return {.header_map =
              ChoiceOf<HeaderMap>(settings.header_map, {{"drop", HeaderMap::kDrop},
                                                        {"refuse", HeaderMap::kRefuse},
                                                        {"dangerous", HeaderMap::kDangerous}}),
          .forwarder_headers = SplitNames(settings.forwarder_headers),
          .secure_scheme_headers = {settings.secure_scheme_headers.begin(),
                                    settings.secure_scheme_headers.end()}};
}

// A connection needs its socket, and for a large body or response a file. Raises the limit of open
// files to that, and not to more: programs that use select(2) break on descriptors beyond 1023.
// Returns how many connections the limit allows, with some left for everything else.
int AllowedConnections(std::int64_t wanted) {
  constexpr rlim_t kForTheApplication = 512;
  constexpr rlim_t kMaxConnections = std::numeric_limits<int>::max();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return static_cast<int>(wanted);
  const rlim_t needed =
      std::min(limit.rlim_max, 2 * static_cast<rlim_t>(wanted) + kForTheApplication);
  if (needed > limit.rlim_cur) {
    limit.rlim_cur = needed;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  const rlim_t reserve = std::min(kForTheApplication, limit.rlim_cur / 2);
  const auto allowed =
      static_cast<std::int64_t>(std::clamp<rlim_t>(limit.rlim_cur - reserve, 1, kMaxConnections));
  if (allowed >= wanted) return static_cast<int>(wanted);
  spdlog::warn("worker_connections is {}, but the limit of {} open files allows {} only", wanted,
               limit.rlim_cur, allowed);
  return static_cast<int>(allowed);
}

EngineOptions EngineOptionsFrom(const Settings& settings) {
  return {
      .limits = {.line = static_cast<std::size_t>(settings.limit_request_line),
                 .fields = static_cast<std::size_t>(settings.limit_request_fields),
                 .field_size = static_cast<std::size_t>(settings.limit_request_field_size),
                 .body = static_cast<std::uint64_t>(settings.limit_request_body)},
      .laxity = {.permit_obsolete_folding = settings.permit_obsolete_folding,
                 .strip_header_spaces = settings.strip_header_spaces,
                 .permit_unconventional_http_method = settings.permit_unconventional_http_method,
                 .permit_unconventional_http_version = settings.permit_unconventional_http_version,
                 .casefold_http_method = settings.casefold_http_method},
      .forwarding = ForwardingRulesFrom(settings),
      .forwarders = NetworksOf(settings.forwarded_allow_ips),
      .proxy_protocol =
          ChoiceOf<ProxyProtocol>(settings.proxy_protocol, {{"off", ProxyProtocol::kOff},
                                                            {"v1", ProxyProtocol::kV1},
                                                            {"v2", ProxyProtocol::kV2},
                                                            {"auto", ProxyProtocol::kAuto}}),
      .proxies = NetworksOf(settings.proxy_allow_ips),
      .max_connections = AllowedConnections(settings.worker_connections),
      .keepalive_s = settings.keepalive,
      .head_s = settings.header_timeout,
      .body_s = settings.body_timeout,
      .write_s = settings.send_timeout,
      .response_buffer_limit = static_cast<std::uint64_t>(settings.limit_response_buffer),
  };
}

}  // namespace

int Worker::Run() {
  if (!WaitForGo()) return EXIT_FAILURE;
  // A backstop for a worker that is stuck and does not see the end of its channel. Only now, with
  // the supervisor as its parent: armed before, it would fire at the end of the intermediate
  // process of the double fork.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The zygote's file may have been rotated away since it was opened.
  if (Status reopened = ReopenLog(); !reopened) return FailToBoot(reopened.error());
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
  std::vector<int> inherited{options_.channel.fd()};
  for (const Listener& listener : options_.listeners) inherited.push_back(listener.fd.get());
  DetachForkedChildren(std::move(inherited), RestoreDefaultSignals);

  Engine* engine = nullptr;
  bool stopped = false;
  WorkerSignals signals([&] { engine->Drain(); },
                        [&] {
                          stopped = true;
                          engine->Stop();
                        });

  if (!application) {
    auto loaded = LoadApp(options_.settings.wsgi_app);
    if (!loaded) return FailToBoot(loaded.error());
    application = std::move(*loaded);
  }
  const Settings& settings = options_.settings;
  auto call = WsgiCall::Create(std::move(application), {.multithread = settings.threaded(),
                                                        .sendfile = settings.sendfile,
                                                        .write_timeout_s = settings.send_timeout,
                                                        .errors_fd = LogFd()});
  if (!call) return FailToBoot(call.error());

  std::unique_ptr<Executor> executor;
  if (settings.threaded()) {
    executor = std::make_unique<ThreadExecutor>(**call, static_cast<int>(settings.threads));
  } else {
    executor = std::make_unique<InlineExecutor>(**call);
  }
  const auto tell = [this](const Message& message) {
    static_cast<void>(options_.channel.Send(EncodeMessage(message)));
  };
  const EngineEvents events{
      .started = [tell] { tell(WorkerReady{}); },
      .request_done =
          [tell, limit = RequestLimit()](std::uint64_t count) {
            if (count == limit) tell(RecycleWanted{"max_requests"});
          },
      .accepting_stopped = [tell] { tell(AcceptingStopped{}); },
  };
  {
    Engine running(EngineOptionsFrom(settings), options_.listeners, *executor, options_.slot,
                   events);
    engine = &running;
    const Lifeline lifeline(running.loop(), options_.channel);
    signals.Attach(running.loop());
    running.Run();
    // At once: threads of the application may still be inside a request, and use all of this.
    if (stopped) _exit(exit_code::kOk);
    signals.Detach();
  }
  executor.reset();
  call->reset();
  spdlog::info("Worker exiting (pid: {})", getpid());
  FinalizePython();
  return exit_code::kOk;
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
