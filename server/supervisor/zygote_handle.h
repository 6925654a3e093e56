// A zygote as the supervisor sees it: one process per generation that loads code and configuration
// and forks workers. Supervisor's loop thread; owned by its Generation.
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
#include "supervisor/zygote.h"

namespace gunid {

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

class ZygoteHandle : public Zygote, private EventHandler {
 public:
  static Result<std::unique_ptr<ZygoteHandle>> Start(EventLoop& loop, Reaper& reaper,
                                                     StackDump& stacks, ZygoteObserver& observer,
                                                     const ZygoteProgram& program, int generation);
  static std::unique_ptr<ZygoteHandle> Adopt(EventLoop& loop, Reaper& reaper, StackDump& stacks,
                                             ZygoteObserver& observer, const ZygoteState& state,
                                             int generation);
  ~ZygoteHandle() override;

  [[nodiscard]] int generation() const override { return generation_; }
  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] bool ready() const override { return state_ == State::kReady && !given_up(); }
  [[nodiscard]] bool failed() const override { return state_ == State::kFailed; }
  [[nodiscard]] ZygoteState ToState() const override {
    return {pid_, socket_.fd(), stack_file_.fd()};
  }

  void LimitBootTime(double seconds) override;
  void SendListeners(const ListenersOpened& listeners, const std::vector<int>& fds) override;
  Status Fork(const ForkRequest& request, int channel_fd, int stack_fd, int errors_fd) override;
  void KillAndWait() override;

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

// Zygotes that are processes.
class ZygoteProcesses : public ZygoteFactory {
 public:
  ZygoteProcesses(EventLoop& loop, Reaper& reaper, StackDump& stacks, ZygoteProgram program)
      : loop_(loop), reaper_(reaper), stacks_(stacks), program_(std::move(program)) {}

  Result<std::unique_ptr<Zygote>> Start(ZygoteObserver& observer, int generation) override;
  std::unique_ptr<Zygote> Adopt(ZygoteObserver& observer, const ZygoteState& state,
                                int generation) override;

  [[nodiscard]] const ZygoteProgram& program() const { return program_; }

 private:
  EventLoop& loop_;
  Reaper& reaper_;
  StackDump& stacks_;
  const ZygoteProgram program_;
};

}  // namespace gunid
