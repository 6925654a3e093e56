// Gets the Python stacks of a process, whatever it is doing: empties its stack file, asks, and looks
// from time to time what has come. A process is asked by a signal, which faulthandler answers; one
// with greenlets first by a message, since faulthandler knows only the greenlet that runs. Nothing
// here blocks. Supervisor's loop thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "supervisor/stack_file.h"

namespace gunid {

struct DumpedStacks {
  std::string text;     // as ParseStacks reads it; "" if there is none
  std::string missing;  // then: why
  // Of a process with greenlets that did not answer: one greenlet holds up all, and the text is the
  // stack of that.
  bool held_up = false;
};

// A process that may be asked: not collected yet.
struct DumpTarget {
  pid_t pid = 0;
  pid_t thread = 0;                         // that gets the signal; 0: any
  const StackFile* file = nullptr;          // outlives the dump: until Gone() or Forget()
  std::function<void()> ask_for_greenlets;  // answered by Written(); empty: it has none
};

class StackDump {
 public:
  using Done = std::function<void(const DumpedStacks&)>;

  explicit StackDump(EventLoop& loop) : loop_(loop) {}

  // `done` is called once, later. Who asks while a dump of that process is under way shares it.
  void Start(const DumpTarget& target, Done done);
  // The process has written the stacks of its greenlets.
  void Written(pid_t pid);
  // The process is collected.
  void Gone(pid_t pid);
  // Nobody wants to know any more: nobody is called.
  void Forget(pid_t pid);

 private:
  struct Dump {
    DumpTarget target;
    std::vector<Done> done;
    EventLoop::TimerId timer = 0;
    bool signalled = false;
    bool held_up = false;
    TimePoint deadline{};
    std::size_t size = 0;  // at the last look
    int equal_looks = 0;   // since it changed
  };

  void AskForGreenlets(Dump& dump);
  void Signal(Dump& dump);
  void LookLater(Dump& dump);
  void Look(pid_t pid);
  void Finish(pid_t pid, DumpedStacks stacks);

  EventLoop& loop_;
  std::map<pid_t, Dump> dumps_;  // under way
};

}  // namespace gunid
