// The control API's server: a few threads that take connections on the control socket, one request
// each. They never touch the supervisor's state; commands go through the CommandSink. Supervisor
// process; owned by main.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "supervisor/command.h"

namespace gunid {

class ControlSocket;
struct ControlShared;

class ControlServer {
 public:
  explicit ControlServer(CommandSink& sink);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Binds `path` and starts the threads. The caller has blocked the signals that it wants for
  // itself.
  Status Start(const std::string& path);
  // Likewise on a socket that another program in this process has opened.
  Status Adopt(const ControlSocketState& state);
  // Of a server that was started.
  [[nodiscard]] ControlSocketState ToState() const;
  // Ends the threads and keeps the socket: who connects waits in its queue. Commands that still wait
  // are answered with an error that says to ask again.
  void Pause();
  Status Resume();
  // Removes the socket and ends the threads. Commands that still wait are answered with an error,
  // those that have their result with that. Idempotent.
  void Stop();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  Status StartThreads();
  void EndThreads(bool for_good);
  void ServeConnections();
  UniqueFd AcceptConnection();

  CommandSink& sink_;
  std::string path_;
  std::unique_ptr<ControlSocket> socket_;
  std::unique_ptr<ControlShared> shared_;
  std::vector<std::thread> threads_;
  std::mutex accepting_;
};

}  // namespace gunid
