#include "base/forked_child.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <utility>

namespace gunid {
namespace {

// Written before the hook is registered, and by it in the child, which has one thread.
std::vector<int> g_fds;
void (*g_restore_signals)() = nullptr;
bool g_in_child = false;
std::atomic<bool> g_has_forked{false};

void NoteFork() {
  g_has_forked.store(true, std::memory_order_relaxed);
}

void Detach() {
  g_in_child = true;
  g_restore_signals();
  for (const int fd : g_fds) close(fd);
}

}  // namespace

void DetachForkedChildren(std::vector<int> fds, void (*restore_signals)()) {
  g_fds = std::move(fds);
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
