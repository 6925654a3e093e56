// The zygote: loads the configuration (and with --preload the application) of one generation, then
// forks its workers on request. Serves nothing. One process per generation, single-threaded; it
// ends when the supervisor closes its socket or dies.
#pragma once

#include <optional>
#include <vector>

#include "config/settings.h"
#include "ipc/message_socket.h"
#include "ipc/scoreboard.h"
#include "ipc/spawn_protocol.h"
#include "python/py_ref.h"

namespace gunid {

class Zygote {
 public:
  // `socket` and `scoreboard` come from the supervisor by exec.
  Zygote(MessageSocket socket, Scoreboard scoreboard)
      : socket_(std::move(socket)), scoreboard_(std::move(scoreboard)) {}

  // Runs until the supervisor is done with it; returns the exit code. In a forked worker it returns
  // when the worker has ended.
  int Run();

 private:
  Status Load();
  Status LoadSettings(const LoadRequest& request);
  Status ReceiveListeners();
  Status Preload();
  int ForkOnRequest();
  int BecomeWorker(const ForkRequest& request, std::vector<UniqueFd> fds);
  Result<Message> Receive(std::vector<UniqueFd>* fds = nullptr);

  MessageSocket socket_;
  Scoreboard scoreboard_;
  Settings settings_;
  std::vector<Listener> listeners_;
  PyRef application_;  // with --preload
};

}  // namespace gunid
