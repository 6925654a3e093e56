#include "control/control_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <memory>

#include "control/control_session.h"
#include "control/control_socket.h"

namespace gunid {

namespace {

// A command holds a thread until it is answered, so each sort of them has threads of its own: those
// that wait for an operation or for the end of a request, those that follow the events, and those
// that are answered at once.
constexpr int kOperations = 6;
constexpr int kCancels = 4;
constexpr int kFollowers = 8;
constexpr int kQuick = 2;
constexpr int kThreads = kOperations + kCancels + kFollowers + kQuick;
constexpr int kAcceptPauseMs = 100;  // after a failure such as too many open files

}  // namespace

ControlServer::ControlServer(CommandSink& sink) : sink_(sink) {}

ControlServer::~ControlServer() {
  Stop();
}

Status ControlServer::Start(const std::string& path) {
  Result<ControlSocket> socket = ControlSocket::Open(path);
  if (!socket) return socket.error();
  path_ = path;
  socket_ = std::make_unique<ControlSocket>(std::move(*socket));
  Status started = StartThreads();
  if (!started) socket_.reset();
  return started;
}

Status ControlServer::Adopt(const ControlSocketState& state) {
  path_ = state.path;
  socket_ = std::make_unique<ControlSocket>(state);
  return StartThreads();
}

ControlSocketState ControlServer::ToState() const {
  return socket_->ToState();
}

void ControlServer::Pause() {
  EndThreads(/*for_good=*/false);
}

Status ControlServer::Resume() {
  return StartThreads();
}

Status ControlServer::StartThreads() {
  UniqueFd stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return Errno("eventfd");
  shared_.reset(new ControlShared{sink_, std::move(stop), Places(kOperations), Places(kCancels),
                                  Places(kFollowers)});
  try {
    for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { ServeConnections(); });
  } catch (const std::system_error& error) {
    EndThreads(/*for_good=*/true);
    return Error{std::string("start a thread of the control server: ") + error.what()};
  }
  return {};
}

void ControlServer::Stop() {
  EndThreads(/*for_good=*/true);
  socket_.reset();
}

void ControlServer::EndThreads(bool for_good) {
  if (!shared_) return;
  shared_->for_good = for_good;
  eventfd_write(shared_->stop.get(), 1);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  shared_.reset();
}

void ControlServer::ServeConnections() {
  ControlSession session(*shared_);
  while (UniqueFd connection = AcceptConnection()) session.Serve(std::move(connection));
}

// One thread waits and the others for it: a connection wakes one. Empty: the threads are to end.
UniqueFd ControlServer::AcceptConnection() {
  const std::lock_guard lock(accepting_);
  pollfd fds[] = {{socket_->fd(), POLLIN, 0}, {shared_->stop.get(), POLLIN, 0}};
  for (;;) {
    poll(fds, 2, -1);
    if (fds[1].revents != 0) return {};
    UniqueFd connection(accept4(socket_->fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection) return connection;
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      poll(&fds[1], 1, kAcceptPauseMs);
    }
  }
}

}  // namespace gunid
