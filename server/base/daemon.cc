#include "base/daemon.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

namespace gunid {
namespace {

volatile sig_atomic_t daemon_pid = 0;

extern "C" void HandOn(int signal) {
  kill(daemon_pid, signal);
}

// False at the end: the daemon has died.
bool Read(int fd, int& number) {
  ssize_t size = 0;
  do {
    size = read(fd, &number, sizeof number);
  } while (size < 0 && errno == EINTR);
  return size == sizeof number;
}

[[noreturn]] void Wait(int daemon) {
  int pid = 0;
  int code = 1;
  if (!Read(daemon, pid)) _exit(1);
  daemon_pid = pid;
  struct sigaction action {};
  action.sa_handler = HandOn;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  if (!Read(daemon, code)) {
    std::fprintf(stderr, "gunid: the daemon (pid:%d) was killed before it served\n", pid);
  }
  _exit(code);
}

}  // namespace

Result<Daemon> Daemon::Start() {
  if (getpid() == 1) {
    return Error{"daemon: process 1 cannot go into the background, the container would end"};
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Errno("daemon: pipe");
  UniqueFd foreground_end(ends[0]);
  UniqueFd daemon_end(ends[1]);
  const pid_t child = fork();
  if (child < 0) return Errno("daemon: fork");
  if (child > 0) {
    daemon_end.Reset();
    waitpid(child, nullptr, 0);
    Wait(foreground_end.get());
  }
  setsid();
  // Not a session's leader: it can never get a terminal.
  const pid_t grandchild = fork();
  if (grandchild != 0) _exit(grandchild < 0 ? 1 : 0);
  const int pid = getpid();
  if (write(daemon_end.get(), &pid, sizeof pid) != sizeof pid) return Errno("daemon: pipe");
  return Daemon(std::move(daemon_end));
}

bool DaemonKeeps(int stream, bool keep_output) {
  return stream != STDIN_FILENO && keep_output && isatty(stream) == 0;
}

void Daemon::Serves(bool keep_output) {
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (null && !DaemonKeeps(stream, keep_output)) dup2(null.get(), stream);
  }
  Ends(0);
}

void Daemon::Ends(int exit_code) {
  if (!foreground_) return;
  // Nobody may wait any more.
  static_cast<void>(!write(foreground_.get(), &exit_code, sizeof exit_code));
  foreground_.Reset();
}

}  // namespace gunid
