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

// Threads that commands of one sort may hold while they wait, so that they leave some to others.
// All control threads.
class Places {
 public:
  explicit Places(int count) : free_(count) {}

  bool Take() {
    int free = free_.load();
    while (free > 0 && !free_.compare_exchange_weak(free, free - 1)) continue;
    return free > 0;
  }
  void GiveBack() { free_.fetch_add(1); }

 private:
  std::atomic<int> free_;
};

// What the sessions of one ControlServer share.
struct ControlShared {
  CommandSink& sink;
  UniqueFd stop;      // eventfd: readable as soon as the server stops
  Places operations;  // of POSTs that wait
  Places cancels;     // of POSTs about a request: of these many may wait, for seconds
  Places followers;   // of GETs that wait: they may do so for ever
  std::atomic<bool> for_good = true;  // what it means that it stops
};

class ControlSession : private httplib::Server {
 public:
  explicit ControlSession(ControlShared& shared);

  // Answers one request, then closes the connection.
  void Serve(UniqueFd connection);

 private:
  HandlerResponse Admit(const httplib::Request& request, httplib::Response& response) const;
  void Answer(const CommandRow& row, const httplib::Request& request, httplib::Response& response);
  CommandResult Execute(const CommandRow& row, const Command& command);
  CommandResult Wait(const Command& command, int limit_ms);

  ControlShared& shared_;
  int fd_ = -1;  // of the connection that is served
  ucred peer_{};
};

}  // namespace gunid
