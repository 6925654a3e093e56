#include "zygote/double_fork.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "python/py_ref.h"

namespace gunid {
namespace {

// Between the forks only async-signal-safe calls. Returns only in the worker.
void ForkAgainAndExit(int pid_pipe) {
  const pid_t worker = fork();
  if (worker == 0) return;
  const bool told = write(pid_pipe, &worker, sizeof worker) == sizeof worker;
  _exit(worker > 0 && told ? 0 : 1);
}

}  // namespace

pid_t DoubleFork() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return -1;
  UniqueFd read_end(fds[0]);
  UniqueFd write_end(fds[1]);

  PyOS_BeforeFork();
  const pid_t intermediate = fork();
  if (intermediate == 0) {
    ForkAgainAndExit(write_end.get());
    PyOS_AfterFork_Child();
    return 0;
  }
  PyOS_AfterFork_Parent();
  if (intermediate < 0) return -1;

  write_end.Reset();
  pid_t worker = -1;
  if (read(read_end.get(), &worker, sizeof worker) != sizeof worker) worker = -1;
  // Only after this is the worker the supervisor's child.
  while (waitpid(intermediate, nullptr, 0) < 0 && errno == EINTR) {
  }
  return worker;
}

}  // namespace gunid
