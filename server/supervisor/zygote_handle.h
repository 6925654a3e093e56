// A zygote as the supervisor sees it: one process per generation that loads code and configuration
// and forks workers. Supervisor's loop thread; owned by its Generation. Destroying the handle
// ends the process; its workers stay.
//
// States: loading (it reads the configuration) -> importing (it has its listeners) -> ready (it
// forks) ; failed from any.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "config/settings_loader.h"
#include "ipc/spawn_protocol.h"
#include "supervisor/program_file.h"
#include "supervisor/reaper.h"
#include "supervisor/stack_dump.h"

namespace gunid {

class ZygoteHandle;

class ZygoteObserver {
 public:
  virtual ~ZygoteObserver() = default;
  virtual void ZygoteLoadedSettings(ZygoteHandle& zygote, const SettingsLoaded& loaded) = 0;
  virtual void ZygoteBecameReady(ZygoteHandle& zygote) = 0;
  // It said so, died, or was too slow: it forks no more. Called once.
  virtual void ZygoteFailed(ZygoteHandle& zygote, const BootFailure& failure) = 0;
  virtual void ZygoteLoadedFiles(const FilesLoaded& loaded) = 0;
  virtual void ZygoteForked(ZygoteHandle& zygote, const struct Forked& forked) = 0;
};

// What every zygote is started with.
struct ZygoteProgram {
  ProgramFile file;       // gunid-worker
  std::string directory;  // where gunid was started
  std::vector<SettingsLayer> layers;
  sigset_t signal_mask{};
  int scoreboard_fd = -1;
  int handover_sending_fd = -1;
  int handover_receiving_fd = -1;
  std::vector<std::pair<int, int>>
      streams;  // descriptors for its standard streams that are not ours
};

// A ready zygote, for the program that takes the supervisor's place.
struct ZygoteState {
  int pid = 0;
  int socket_fd = -1;
  int stack_fd = -1;
};

class ZygoteHandle : public EventHandler {
 public:
  static Result<std::unique_ptr<ZygoteHandle>> Start(EventLoop& loop, Reaper& reaper,
                                                     StackDump& stacks, ZygoteObserver& observer,
                                                     const ZygoteProgram& program, int generation);
  // One that has got ready under another program in this process.
  static std::unique_ptr<ZygoteHandle> Adopt(EventLoop& loop, Reaper& reaper, StackDump& stacks,
                                             ZygoteObserver& observer, const ZygoteState& state,
                                             int generation);
  ~ZygoteHandle() override;

  [[nodiscard]] int generation() const { return generation_; }
  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] bool ready() const { return state_ == State::kReady && !given_up(); }
  [[nodiscard]] ZygoteState ToState() const { return {pid_, socket_.fd(), stack_file_.fd()}; }
  [[nodiscard]] bool failed() const { return state_ == State::kFailed; }

  // Fails with ZygoteFailed when it is not ready within `seconds` from now; 0: no limit. A new call
  // replaces the old limit.
  void LimitBootTime(double seconds);
  void SendListeners(const ListenersOpened& listeners, const std::vector<int>& fds);
  // Asks for a worker that gets the descriptors; `errors_fd` -1: it has the zygote's standard error.
  // Answered by ZygoteForked, or by ZygoteFailed.
  Status Fork(const ForkRequest& request, int channel_fd, int stack_fd, int errors_fd);
  // Without ZygoteFailed. When the server stops: it must be gone before its parent. Blocks for the
  // moment that a kill takes.
  void KillAndWait();

 private:
  enum class State { kLoading, kImporting, kReady, kFailed };

  ZygoteHandle(EventLoop& loop, Reaper& reaper, StackDump& stacks, ZygoteObserver& observer,
               StackFile stack_file, int generation)
      : loop_(loop),
        reaper_(reaper),
        stacks_(stacks),
        observer_(observer),
        stack_file_(std::move(stack_file)),
        generation_(generation) {}
  void Begin(pid_t pid, MessageSocket socket);
  void OnEvents(std::uint32_t events) override;
  void ReceiveAll();
  void Handle(const Message& message);
  void Exited(int status);
  void Fail(const BootFailure& failure);
  void GiveUp(const std::string& why);
  [[nodiscard]] bool given_up() const { return !given_up_.message.empty(); }
  void LimitForkTime();
  void CancelTimers();

  EventLoop& loop_;
  Reaper& reaper_;
  StackDump& stacks_;
  ZygoteObserver& observer_;
  const StackFile stack_file_;
  const int generation_;
  State state_ = State::kLoading;
  bool exited_ = false;  // and collected: the pid may be another's
  pid_t pid_ = 0;
  MessageSocket socket_;
  EventLoop::TimerId boot_timer_ = 0;
  EventLoop::TimerId fork_timer_ = 0;
  int forks_under_way_ = 0;
  BootFailure given_up_;  // why it is killed as soon as its stacks are known
};

}  // namespace gunid
