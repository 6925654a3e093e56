#include "control/control_session.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "control/control_routes.h"
#include "control/control_stream.h"

namespace gunid {

namespace {

constexpr std::size_t kMaxBody = 4096;
constexpr int kQuickLimitMs = 5000;
constexpr int kNoLimit = -1;

// The result of one command. Shared by the session that waits and the function given to the
// supervisor, because either may let go first.
class PendingResult {
 public:
  [[nodiscard]] int fd() const { return ready_.get(); }

  void Set(CommandResult result) {
    const std::lock_guard lock(mutex_);
    if (!ready_) return;  // nobody waits any more
    result_ = std::move(result);
    eventfd_write(ready_.get(), 1);
  }
  // The session waits no longer: the command may end much later, and its descriptor is given back now.
  std::optional<CommandResult> Take() {
    const std::lock_guard lock(mutex_);
    ready_.Reset();
    return std::move(result_);
  }

 private:
  UniqueFd ready_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::mutex mutex_;
  std::optional<CommandResult> result_;  // guarded by mutex_
};

CommandResult Unavailable(const char* code, const char* message) {
  return ErrorResult(503, {.code = code, .message = message, .detail = ""});
}

void Fill(httplib::Response& response, const CommandResult& result) {
  response.status = result.http_status;
  response.set_content(result.body, "application/json");
}

}  // namespace

ControlSession::ControlSession(ControlShared& shared) : shared_(shared) {
  set_payload_max_length(kMaxBody);
  set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    return Admit(request, response);
  });
  set_error_handler([](const httplib::Request&, httplib::Response& response) {
    if (response.body.empty()) Fill(response, HttpErrorResult(response.status));
  });
  set_exception_handler([](const httplib::Request&, httplib::Response& response,
                           std::exception_ptr) { Fill(response, HttpErrorResult(500)); });
  Get(std::string(kIndexPath),
      [](const httplib::Request&, httplib::Response& response) { Fill(response, IndexResult()); });
  for (const CommandRow& row : kCommands) {
    auto answer = [this, &row](const httplib::Request& request, httplib::Response& response) {
      Answer(row, request, response);
    };
    if (row.method == "GET") {
      Get(std::string(row.path), answer);
    } else {
      Post(std::string(row.path), answer);
    }
  }
}

void ControlSession::Serve(UniqueFd connection) {
  fd_ = connection.get();
  socklen_t size = sizeof peer_;
  if (getsockopt(fd_, SOL_SOCKET, SO_PEERCRED, &peer_, &size) != 0) return;

  ControlStream stream(fd_, shared_.stop.get());
  bool closed = false;
  const std::function<void(httplib::Request&)> setup = [](httplib::Request& request) {
    // Without a length the library would read the body of a POST until the deadline.
    if (!request.has_header("Content-Length") && !request.has_header("Transfer-Encoding")) {
      request.set_header("Content-Length", "0");
    }
  };
  // One request per connection: an idle client holds no thread, and pipelining, which the library
  // cannot do, is out of the question. Later versions of the library also want the addresses of
  // both ends.
  const auto process = [&](auto& self) {
    if constexpr (requires { self.process_request(stream, true, closed, setup); }) {
      self.process_request(stream, true, closed, setup);
    } else {
      self.process_request(stream, "", 0, "", 0, true, closed, setup);
    }
  };
  try {
    process(*this);
  } catch (const std::exception& error) {
    spdlog::warn("control: a request failed: {}", error.what());
  }
}

// Runs before the body is read.
httplib::Server::HandlerResponse ControlSession::Admit(const httplib::Request& request,
                                                       httplib::Response& response) const {
  const auto refuse = [&](const CommandResult& result) {
    Fill(response, result);
    return HandlerResponse::Handled;
  };
  if (peer_.uid != 0 && peer_.uid != geteuid()) return refuse(HttpErrorResult(403));
  // The library limits neither a chunked nor a compressed body.
  if (request.has_header("Content-Encoding")) return refuse(HttpErrorResult(415));
  if (request.has_header("Transfer-Encoding")) return refuse(HttpErrorResult(411));

  const auto route = FindRoute(request.method, request.path);
  if (const auto* refusal = std::get_if<Refusal>(&route)) {
    if (!refusal->allow.empty()) response.set_header("Allow", std::string(refusal->allow));
    return refuse(refusal->result);
  }
  return HandlerResponse::Unhandled;
}

void ControlSession::Answer(const CommandRow& row, const httplib::Request& request,
                            httplib::Response& response) {
  const auto parsed = ParseCommand(row, QueryOf(request.target), request.body);
  if (const auto* refusal = std::get_if<CommandResult>(&parsed)) {
    Fill(response, *refusal);
    return;
  }
  const Command command = std::get<Command>(parsed);
  if (row.method != "GET") {
    const std::string argument = RowOf(row.kind).write(command);
    spdlog::info("control: {}{}{} asked for by pid {} of user {}", row.name,
                 argument.empty() ? "" : " ", argument, peer_.pid, peer_.uid);
  }
  Fill(response, Execute(row, command));
}

CommandResult ControlSession::Execute(const CommandRow& row, const Command& command) {
  if (!Waits(row, command)) return Wait(command, kQuickLimitMs);
  const bool follows = row.method == "GET";
  Places& places = follows                              ? shared_.followers
                   : row.kind == ArgumentKind::kRequest ? shared_.cancels
                                                        : shared_.operations;
  if (!places.Take()) {
    return Unavailable("busy", follows ? "too many clients wait for events already"
                                       : "too many commands are waiting already");
  }
  const std::unique_ptr<Places, void (*)(Places*)> place(&places,
                                                         [](Places* taken) { taken->GiveBack(); });
  return Wait(command, kNoLimit);
}

// Until there is a result, the server stops, the client has hung up, or a quick command takes too
// long.
CommandResult ControlSession::Wait(const Command& command, int limit_ms) {
  auto pending = std::make_shared<PendingResult>();
  if (pending->fd() < 0) return Unavailable("busy", "too many open files");
  shared_.sink.Post(command, [pending](CommandResult result) { pending->Set(std::move(result)); });

  pollfd fds[] = {{pending->fd(), POLLIN, 0}, {shared_.stop.get(), POLLIN, 0}, {fd_, 0, 0}};
  int ready = 0;
  do {
    ready = poll(fds, 3, limit_ms);
  } while (ready < 0 && errno == EINTR);
  if (std::optional<CommandResult> result = pending->Take()) return *std::move(result);
  if (fds[1].revents != 0) {
    return shared_.for_good
               ? Unavailable("stopping", "the server has stopped before the command ended")
               : CommandResult(ErrorResult(503, kBeingUpgraded));
  }
  return Unavailable("no_answer", "the supervisor does not answer in time");
}

}  // namespace gunid
