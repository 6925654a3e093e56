#include "supervisor/worker_spawner.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "base/child_process.h"
#include "gunid/exit_codes.h"

namespace gunid {

// The supervisor's end of one worker's channel. The other end sees EOF when the supervisor is gone.
class WorkerChannel : public EventHandler {
 public:
  WorkerChannel(EventLoop& loop, MessageSocket socket,
                std::function<void(const Message&)> on_message)
      : loop_(loop), socket_(std::move(socket)), on_message_(std::move(on_message)) {
    loop_.Add(socket_.fd(), EPOLLIN, this);
  }
  ~WorkerChannel() override { Close(); }

  void SendGo() { static_cast<void>(socket_.Send(EncodeMessage(Go{}))); }

  void ReceiveAll() {
    while (socket_) {
      auto packet = socket_.Receive();
      if (!packet) return Close();
      if (!*packet) return;
      if (auto message = DecodeMessage((*packet)->bytes)) {
        on_message_(*message);
      } else {
        spdlog::error("message of a worker: {}", message.error().message);
      }
    }
  }

 private:
  void OnEvents(std::uint32_t /*events*/) override { ReceiveAll(); }
  void Close() {
    if (socket_) loop_.Remove(socket_.fd(), this);
    socket_.Close();
  }

  EventLoop& loop_;
  MessageSocket socket_;
  std::function<void(const Message&)> on_message_;
};

WorkerSpawner::WorkerSpawner(EventLoop& loop, Reaper& reaper, SpawnerEvents events)
    : loop_(loop), reaper_(reaper), events_(std::move(events)) {}

WorkerSpawner::~WorkerSpawner() = default;

void WorkerSpawner::Register(ZygoteHandle& zygote) {
  zygotes_[zygote.generation()] = &zygote;
}

void WorkerSpawner::Unregister(ZygoteHandle& zygote, const BootFailure& failure) {
  const auto registered = zygotes_.find(zygote.generation());
  if (registered == zygotes_.end() || registered->second != &zygote) return;
  zygotes_.erase(registered);
  for (auto entry = unanswered_.begin(); entry != unanswered_.end();) {
    const auto [worker_id, generation] = *entry;
    if (generation != zygote.generation()) {
      ++entry;
      continue;
    }
    entry = unanswered_.erase(entry);
    channels_.erase(
        worker_id);  // a worker that was forked nevertheless sees EOF before its Go, and exits
    reaper_.ForkEnded();
    loop_.Post([this, id = worker_id, failure] { events_.fork_failed(id, failure); });
  }
}

bool WorkerSpawner::CanFork(int generation) const {
  const auto found = zygotes_.find(generation);
  return found != zygotes_.end() && found->second->ready();
}

void WorkerSpawner::Fork(const WorkerHandle& worker) {
  const int id = worker.id;
  auto pair = MessageSocket::Pair();
  Status asked = pair ? Status() : Status(pair.error());
  if (asked) asked = zygotes_.at(worker.generation)->Fork({id, worker.slot}, pair->second.fd());
  if (!asked) {
    loop_.Post([this, id, message = asked.error().message] {
      events_.fork_failed(id, {exit_code::kConfig, "cannot start a worker: " + message, ""});
    });
    return;
  }
  reaper_.ForkStarted();
  unanswered_[id] = worker.generation;
  channels_[id] = std::make_unique<WorkerChannel>(
      loop_, std::move(pair->first),
      [this, id](const Message& message) { events_.message(id, message); });
}

void WorkerSpawner::Answer(const Forked& forked) {
  const int id = forked.worker_id;
  if (unanswered_.erase(id) == 0) return;
  if (forked.pid > 0) {
    reaper_.Watch(forked.pid, [this, id](int status) {
      const auto channel = channels_.find(id);
      if (channel != channels_.end()) channel->second->ReceiveAll();  // its last words come first
      events_.exited(id, DescribeExit(status));
    });
    reaper_.ForkEnded();
    events_.forked(id, forked.pid);
  } else {
    reaper_.ForkEnded();
    events_.fork_failed(id, {exit_code::kConfig, "cannot start a worker: fork failed", ""});
  }
}

void WorkerSpawner::Forget(int worker_id) {
  channels_.erase(worker_id);
}

void WorkerSpawner::SendGo(const WorkerHandle& worker) {
  const auto channel = channels_.find(worker.id);
  if (channel != channels_.end()) channel->second->SendGo();
}

void WorkerSpawner::SendSignal(const WorkerHandle& worker, int signal) {
  // The pid cannot have been taken by another process: only the reaper collects it, on this thread.
  if (worker.pid > 0) kill(worker.pid, signal);
}

}  // namespace gunid
