#include "supervisor/stack_dump.h"

#include <chrono>
#include <csignal>
#include <utility>

#include "ipc/spawn_protocol.h"

namespace gunid {
namespace {

using std::chrono::milliseconds;

// How long greenlets may take to answer: longer than one turn of their hub should take.
constexpr Nanoseconds kGreenletTime = milliseconds(300);
// The signal needs a moment where the machine is busy.
constexpr Nanoseconds kSignalTime = milliseconds(500);
constexpr Nanoseconds kLookAgain = milliseconds(5);
// Nothing says that a dump is complete but that it does not grow any more.
constexpr int kEqualLooks = 3;

}  // namespace

void StackDump::Start(const DumpTarget& target, Done done) {
  const auto [entry, fresh] = dumps_.try_emplace(target.pid);
  Dump& dump = entry->second;
  dump.done.push_back(std::move(done));
  if (!fresh) return;
  dump.target = target;
  if (target.ask_for_greenlets) {
    AskForGreenlets(dump);
  } else {
    Signal(dump);
  }
}

void StackDump::AskForGreenlets(Dump& dump) {
  dump.target.file->Empty();
  dump.target.ask_for_greenlets();
  dump.timer = loop_.RunAfter(kGreenletTime, [this, &dump] {
    dump.held_up = true;
    Signal(dump);
  });
}

void StackDump::Signal(Dump& dump) {
  dump.signalled = true;
  dump.deadline = Clock().Now() + kSignalTime;
  dump.target.file->Empty();
  // A failure shows as a file that stays empty.
  const auto [pid, thread] = std::pair(dump.target.pid, dump.target.thread);
  if (thread == 0 || tgkill(pid, thread, SIGRTMIN + kStackSignal) != 0) {
    kill(pid, SIGRTMIN + kStackSignal);
  }
  LookLater(dump);
}

void StackDump::LookLater(Dump& dump) {
  dump.timer = loop_.RunAfter(kLookAgain, [this, pid = dump.target.pid] { Look(pid); });
}

void StackDump::Look(pid_t pid) {
  Dump& dump = dumps_.at(pid);
  const std::size_t size = dump.target.file->Size();
  dump.equal_looks = size == dump.size ? dump.equal_looks + 1 : 1;
  dump.size = size;
  const bool complete = size > 0 && dump.equal_looks >= kEqualLooks;
  if (!complete && Clock().Now() < dump.deadline) return LookLater(dump);
  if (size == 0) return Finish(pid, {.missing = "the process did not write any in time"});
  std::string text = dump.target.file->Read();
  // They have answered after all, just now.
  const bool held_up = dump.held_up && text.find("Greenlet 0x") == std::string::npos;
  Finish(pid, {.text = std::move(text), .held_up = held_up});
}

// An answer that comes too late, or with an empty file, is to an earlier question.
void StackDump::Written(pid_t pid) {
  const auto found = dumps_.find(pid);
  if (found == dumps_.end() || found->second.signalled) return;
  std::string text = found->second.target.file->Read();
  if (!text.empty()) Finish(pid, {.text = std::move(text)});
}

void StackDump::Gone(pid_t pid) {
  const auto found = dumps_.find(pid);
  if (found == dumps_.end()) return;
  // Later: whoever is called may expect that others know of the exit, too.
  loop_.Post([done = std::move(found->second.done)] {
    for (const Done& call : done) call({.missing = "the process is gone"});
  });
  Forget(pid);
}

void StackDump::Forget(pid_t pid) {
  const auto found = dumps_.find(pid);
  if (found == dumps_.end()) return;
  loop_.Cancel(found->second.timer);
  dumps_.erase(found);
}

void StackDump::Finish(pid_t pid, DumpedStacks stacks) {
  const std::vector<Done> done = std::move(dumps_.at(pid).done);
  Forget(pid);
  for (const Done& call : done) call(stacks);
}

}  // namespace gunid
