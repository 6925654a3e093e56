// The zygote: loads the configuration (and with --preload the application) of one generation, then
// forks its workers on request. Serves nothing. One process per generation, single-threaded; it
// ends when the supervisor closes its socket or dies. Where another user is asked for it becomes that
// before any code of the application runs: before there is a Python, or, if only the configuration
// file says so, right after that was read.
#pragma once

#include <optional>
#include <vector>

#include "base/account.h"
#include "base/log_file.h"
#include "config/settings.h"
#include "ipc/handover.h"
#include "ipc/message_socket.h"
#include "ipc/scoreboard.h"
#include "ipc/spawn_protocol.h"
#include "python/py_ref.h"

namespace gunid {

class Zygote {
 public:
  // All come from the supervisor by exec.
  Zygote(MessageSocket socket, Scoreboard scoreboard, Handover handover)
      : socket_(std::move(socket)),
        scoreboard_(std::move(scoreboard)),
        handover_(std::move(handover)) {}

  // Runs until the supervisor is done with it; returns the exit code. In a forked worker it returns
  // when the worker has ended.
  int Run();

 private:
  Status Load();
  Status LoadSettings(const LoadRequest& request);
  Status GiveUpPrivileges(const Settings& settings);
  Status ReceiveListeners();
  Status OpenLogs();
  Status Preload();
  int ForkOnRequest();
  int BecomeWorker(const ForkRequest& request, std::vector<UniqueFd> fds);
  Result<Message> Receive(std::vector<UniqueFd>* fds = nullptr);

  MessageSocket socket_;
  Scoreboard scoreboard_;
  Handover handover_;
  Settings settings_;
  std::optional<LogFile> access_log_;  // that the workers write
  std::optional<Account> account_;     // that it has become
  std::vector<Listener> listeners_;
  PyRef application_;  // with --preload
};

}  // namespace gunid
