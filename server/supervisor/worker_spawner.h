// How the pool's workers become processes: asks the zygote of their generation for a fork, holds
// the supervisor's end of each worker's channel and its stack file, and tells the pool what comes of
// it. Supervisor's loop thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "supervisor/error_relay.h"
#include "supervisor/oom_watch.h"
#include "supervisor/reaper.h"
#include "supervisor/stack_dump.h"
#include "supervisor/worker_pool.h"
#include "supervisor/zygote.h"

namespace gunid {

class WorkerChannel;

// What the workers said or what became of them; the pool's events, by worker id.
struct SpawnerEvents {
  std::function<void(int worker_id, int pid)> forked;
  std::function<void(int worker_id, const BootFailure&)> fork_failed;
  std::function<void(int worker_id, const Message&)> message;
  std::function<void(int worker_id, const WorkerExit&)> exited;
};

// What belongs to a worker's process, for the program that takes the supervisor's place.
struct ChannelState {
  int worker = 0;
  int pid = 0;
  int socket_fd = -1;  // -1: it is closed
  int stack_fd = -1;
  int stack_thread = 0;
  bool greenlets = false;
};

class WorkerSpawner : public Spawner {
 public:
  // `errors`: null where workers have the supervisor's standard error.
  WorkerSpawner(EventLoop& loop, Reaper& reaper, StackDump& stacks, ErrorRelay* errors,
                SpawnerEvents events);
  ~WorkerSpawner() override;

  // While all workers have processes (WorkerPool::has_processes).
  [[nodiscard]] std::vector<ChannelState> ToState() const;
  void Adopt(const std::vector<ChannelState>& channels);

  // The zygote, which must outlive its registration, forks the workers of its generation.
  // `greenlets`: they run their requests in greenlets.
  void Register(Zygote& zygote, bool greenlets);
  // Forks that the zygote has not answered fail with `failure`.
  void Unregister(Zygote& zygote, const BootFailure& failure);
  void Answer(const Forked& forked);
  // The worker is gone: closes its channel.
  void Forget(int worker_id);
  // What does not reach the worker is lost: it is gone, or does not listen.
  void Send(int worker_id, const Message& message);
  // Of a worker that has a process. `done` is called later.
  void DumpStacks(int worker_id, StackDump::Done done);

  [[nodiscard]] bool CanFork(int generation) const override;
  void Fork(const WorkerHandle& worker) override;
  void SendGo(const WorkerHandle& worker) override;
  void SendSignal(const WorkerHandle& worker, int signal) override;

 private:
  struct RegisteredZygote {
    Zygote* handle = nullptr;
    bool greenlets = false;
  };

  void ForgetOldKills();
  void Open(int worker_id, MessageSocket socket, StackFile stacks, bool greenlets);
  void Watch(int worker_id, int pid);
  void OnMessage(int worker_id, const Message& message);
  void OnExit(int worker_id, int pid, int status);

  EventLoop& loop_;
  Reaper& reaper_;
  StackDump& stacks_;
  ErrorRelay* const errors_;
  SpawnerEvents events_;
  OomWatch ooms_;
  EventLoop::TimerId ooms_timer_ = 0;
  std::map<int, RegisteredZygote> zygotes_;                 // by generation
  std::map<int, int> unanswered_;                           // worker id -> generation
  std::map<int, std::unique_ptr<WorkerChannel>> channels_;  // by worker id
};

}  // namespace gunid
