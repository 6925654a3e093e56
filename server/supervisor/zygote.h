// What Generations and WorkerSpawner need of a zygote: the process that loads a generation's code and
// configuration and forks its workers. Seam: their tests run without processes. Supervisor's loop
// thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ipc/spawn_protocol.h"

namespace gunid {

class Zygote;

class ZygoteObserver {
 public:
  virtual ~ZygoteObserver() = default;
  virtual void ZygoteLoadedSettings(Zygote& zygote, const SettingsLoaded& loaded) = 0;
  virtual void ZygoteBecameReady(Zygote& zygote) = 0;
  // It said so, died, or was too slow: it forks no more. Called once.
  virtual void ZygoteFailed(Zygote& zygote, const BootFailure& failure) = 0;
  virtual void ZygoteLoadedFiles(const FilesLoaded& loaded) = 0;
  virtual void ZygoteForked(Zygote& zygote, const struct Forked& forked) = 0;
};

// A ready zygote, for the program that takes the supervisor's place.
struct ZygoteState {
  int pid = 0;
  int socket_fd = -1;
  int stack_fd = -1;
};

// Destroying it ends the process; its workers stay.
class Zygote {
 public:
  virtual ~Zygote() = default;

  [[nodiscard]] virtual int generation() const = 0;
  [[nodiscard]] virtual bool ready() const = 0;
  [[nodiscard]] virtual bool failed() const = 0;
  [[nodiscard]] virtual ZygoteState ToState() const = 0;

  // Fails with ZygoteFailed when it is not ready within `seconds` from now; 0: no limit. A new call
  // replaces the old limit.
  virtual void LimitBootTime(double seconds) = 0;
  virtual void SendListeners(const ListenersOpened& listeners, const std::vector<int>& fds) = 0;
  // Asks for a worker that gets the descriptors; `errors_fd` -1: it has the zygote's standard error.
  // Answered by ZygoteForked, or by ZygoteFailed.
  virtual Status Fork(const ForkRequest& request, int channel_fd, int stack_fd, int errors_fd) = 0;
  // Without ZygoteFailed. When the server stops: it must be gone before its parent. Blocks for the
  // moment that a kill takes.
  virtual void KillAndWait() = 0;
};

// Whoever makes zygotes. The observer must outlive them.
class ZygoteFactory {
 public:
  virtual ~ZygoteFactory() = default;
  virtual Result<std::unique_ptr<Zygote>> Start(ZygoteObserver& observer, int generation) = 0;
  // One that has got ready under another program in this process.
  virtual std::unique_ptr<Zygote> Adopt(ZygoteObserver& observer, const ZygoteState& state,
                                        int generation) = 0;
};

}  // namespace gunid
