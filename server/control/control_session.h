// Speaks HTTP on one connection at a time: checks who is there, turns the request into a Command,
// waits for its result. Each control thread owns one, so that a handler finds its connection in a
// member. Brings in httplib.h: only for *.cc.
#pragma once

#include <httplib.h>
#include <sys/socket.h>

#include <atomic>

#include "base/unique_fd.h"
#include "gunid/control_api.h"
#include "supervisor/command.h"

namespace gunid {

// What the sessions of one ControlServer share.
struct ControlShared {
  CommandSink& sink;
  UniqueFd stop;          // eventfd: readable as soon as the server stops
  const int max_waiting;  // threads that may wait for long operations
  std::atomic<int> waiting{0};
};

class ControlSession : private httplib::Server {
 public:
  explicit ControlSession(ControlShared& shared);

  // Answers one request, then closes the connection.
  void Serve(UniqueFd connection);

 private:
  HandlerResponse Admit(const httplib::Request& request, httplib::Response& response) const;
  void Answer(const CommandRow& row, const httplib::Request& request, httplib::Response& response);
  CommandResult Execute(const CommandRow& row, Command command);
  CommandResult Wait(const CommandRow& row, Command command);

  ControlShared& shared_;
  int fd_ = -1;  // of the connection that is served
  ucred peer_{};
};

}  // namespace gunid
