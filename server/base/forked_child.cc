#include "base/forked_child.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "base/same_file.h"

namespace gunid {
namespace {

// A number may be another file's by the time of a fork: the process may have closed it.
struct OpenFile {
  int fd;
  struct stat file;
};

// Written before the hook is registered, and by it in the child, which has one thread.
std::vector<OpenFile> g_files;
void (*g_restore_signals)() = nullptr;
bool g_in_child = false;
std::atomic<bool> g_has_forked{false};

void NoteFork() {
  g_has_forked.store(true, std::memory_order_relaxed);
}

void Detach() {
  g_in_child = true;
  g_restore_signals();
  for (const auto& [fd, file] : g_files) {
    struct stat now {};
    if (fstat(fd, &now) == 0 && IsSameFile(now, file)) close(fd);
  }
}

}  // namespace

void DetachForkedChildren(const std::vector<int>& fds, void (*restore_signals)()) {
  for (const int fd : fds) {
    OpenFile& open = g_files.emplace_back(OpenFile{fd, {}});
    fstat(fd, &open.file);
  }
  g_restore_signals = restore_signals;
  pthread_atfork(nullptr, NoteFork, Detach);
}

bool HasForked() {
  return g_has_forked.load(std::memory_order_relaxed);
}

bool InForkedChild() {
  return g_in_child;
}

}  // namespace gunid
