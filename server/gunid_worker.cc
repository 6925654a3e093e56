// gunid-worker: started by gunid as a zygote, which forks the workers. Not a program for people.
#include <fcntl.h>
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/log.h"
#include "gunid/exit_codes.h"
#include "worker/worker_signals.h"
#include "zygote/zygote.h"

namespace gunid {
namespace {

// The supervisor may ask for stacks before there is a Python that has any, and has blocked the
// signal until now.
void TakeStackSignal() {
  struct sigaction action {};
  action.sa_handler = [](int /*signal*/) {};
  action.sa_flags = SA_RESTART;
  sigaction(SIGRTMIN + kStackSignal, &action, nullptr);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGRTMIN + kStackSignal);
  sigprocmask(SIG_UNBLOCK, &mask, nullptr);
}

}  // namespace
}  // namespace gunid

int main(int argc, char** argv) {
  using namespace gunid;
  TakeStackSignal();
  if (argc != 2 || std::strcmp(argv[1], "--zygote") != 0) {
    std::fputs("gunid-worker: is started by gunid; run gunid instead\n", stderr);
    return exit_code::kUsage;
  }
  prctl(PR_SET_NAME, "gunid-worker");  // it may have been run by the number of a descriptor
  // A backstop: the end of the socket says the same, unless the zygote hangs.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  IgnoreSupervisorSignals();
  for (const int fd :
       {kSpawnSocketFd, kScoreboardFd, kStackFd, kHandoverSendingFd, kHandoverReceivingFd}) {
    fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  if (Status opened = OpenLog("-", "info"); !opened) return exit_code::kConfig;

  auto scoreboard = Scoreboard::Attach(UniqueFd(kScoreboardFd));
  if (!scoreboard) {
    std::fprintf(stderr, "gunid-worker: %s\n", scoreboard.error().message.c_str());
    return exit_code::kConfig;
  }
  Zygote zygote(MessageSocket(UniqueFd(kSpawnSocketFd)), std::move(*scoreboard),
                Handover(UniqueFd(kHandoverSendingFd), UniqueFd(kHandoverReceivingFd)));
  return zygote.Run();
}
