#include "supervisor/worker_spawner.h"

#include <spdlog/spdlog.h>
#include <sys/wait.h>

#include <chrono>
#include <utility>

#include "base/child_process.h"
#include "gunid/exit_codes.h"

namespace gunid {
namespace {

// Longer than what the kernel kills takes to die.
constexpr auto kKillPeriod = std::chrono::seconds(10);

}  // namespace

// The supervisor's end of one worker's channel, which sees EOF when the supervisor is gone, and the
// worker's stack file.
class WorkerChannel : public EventHandler {
 public:
  WorkerChannel(EventLoop& loop, MessageSocket socket, StackFile stacks, bool greenlets,
                std::function<void(const Message&)> on_message)
      : loop_(loop),
        socket_(std::move(socket)),
        stacks_(std::move(stacks)),
        greenlets_(greenlets),
        on_message_(std::move(on_message)) {
    if (socket_) loop_.Add(socket_.fd(), EPOLLIN, this);
  }
  ~WorkerChannel() override { Close(); }

  Status Send(const Message& message) {
    return socket_ ? socket_.Send(EncodeMessage(message)) : Status();
  }

  void ReceiveAll() {
    while (socket_) {
      auto packet = socket_.Receive();
      if (!packet) return Close();
      if (!*packet) return;
      if (auto message = DecodeMessage((*packet)->bytes)) {
        if (const auto* ready = std::get_if<WorkerReady>(&*message)) {
          stack_thread = ready->stack_thread;
        }
        on_message_(*message);
      } else {
        spdlog::error("message of a worker: {}", message.error().message);
      }
    }
  }

  DumpTarget Target() {
    DumpTarget target{.pid = pid, .thread = stack_thread, .file = &stacks_};
    if (greenlets_) {
      target.ask_for_greenlets = [this] { static_cast<void>(Send(StacksWanted{})); };
    }
    return target;
  }

  [[nodiscard]] ChannelState ToState(int worker_id) const {
    return {worker_id, pid, socket_.fd(), stacks_.fd(), stack_thread, greenlets_};
  }

  int stack_thread = 0;  // see WorkerReady
  int pid = 0;           // of the worker, once it is known; 0 again when it was collected

 private:
  void OnEvents(std::uint32_t /*events*/) override { ReceiveAll(); }
  void Close() {
    if (socket_) loop_.Remove(socket_.fd(), this);
    socket_.Close();
  }

  EventLoop& loop_;
  MessageSocket socket_;
  const StackFile stacks_;
  const bool greenlets_;
  const std::function<void(const Message&)> on_message_;
};

WorkerSpawner::WorkerSpawner(EventLoop& loop, Reaper& reaper, StackDump& stacks, ErrorRelay* errors,
                             SpawnerEvents events)
    : loop_(loop), reaper_(reaper), stacks_(stacks), errors_(errors), events_(std::move(events)) {
  ForgetOldKills();
}

WorkerSpawner::~WorkerSpawner() {
  loop_.Cancel(ooms_timer_);
}

void WorkerSpawner::ForgetOldKills() {
  if (ooms_.file().empty()) return;
  ooms_.ForgetOldKills();
  ooms_timer_ = loop_.RunAfter(kKillPeriod, [this] { ForgetOldKills(); });
}

void WorkerSpawner::Register(Zygote& zygote, bool greenlets) {
  zygotes_[zygote.generation()] = {&zygote, greenlets};
}

void WorkerSpawner::Unregister(Zygote& zygote, const BootFailure& failure) {
  const auto registered = zygotes_.find(zygote.generation());
  if (registered == zygotes_.end() || registered->second.handle != &zygote) return;
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
  return found != zygotes_.end() && found->second.handle->ready();
}

void WorkerSpawner::Fork(const WorkerHandle& worker) {
  const int id = worker.id;
  const RegisteredZygote& zygote = zygotes_.at(worker.generation);
  auto pair = MessageSocket::Pair();
  auto stacks = StackFile::Create();
  Status asked = pair ? Status() : Status(pair.error());
  if (asked && !stacks) asked = stacks.error();
  auto errors = errors_ != nullptr ? errors_->Open(id) : Result<UniqueFd>(UniqueFd());
  if (asked && !errors) asked = errors.error();
  if (asked) {
    asked = zygote.handle->Fork({id, worker.slot}, pair->second.fd(), stacks->fd(), errors->get());
  }
  if (!asked) {
    loop_.Post([this, id, message = asked.error().message] {
      events_.fork_failed(id, {exit_code::kConfig, "cannot start a worker: " + message, ""});
    });
    return;
  }
  reaper_.ForkStarted();
  unanswered_[id] = worker.generation;
  Open(id, std::move(pair->first), std::move(*stacks), zygote.greenlets);
}

void WorkerSpawner::Open(int worker_id, MessageSocket socket, StackFile stacks, bool greenlets) {
  channels_[worker_id] = std::make_unique<WorkerChannel>(
      loop_, std::move(socket), std::move(stacks), greenlets,
      [this, worker_id](const Message& message) { OnMessage(worker_id, message); });
}

void WorkerSpawner::Watch(int worker_id, int pid) {
  channels_.at(worker_id)->pid = pid;
  reaper_.Watch(pid, [this, worker_id, pid](int status) { OnExit(worker_id, pid, status); });
}

std::vector<ChannelState> WorkerSpawner::ToState() const {
  std::vector<ChannelState> states;
  for (const auto& [id, channel] : channels_) states.push_back(channel->ToState(id));
  return states;
}

void WorkerSpawner::Adopt(const std::vector<ChannelState>& channels) {
  for (const ChannelState& state : channels) {
    Open(state.worker, MessageSocket(UniqueFd(state.socket_fd)),
         StackFile(UniqueFd(state.stack_fd)), state.greenlets);
    channels_.at(state.worker)->stack_thread = state.stack_thread;
    Watch(state.worker, state.pid);
  }
}

void WorkerSpawner::Answer(const Forked& forked) {
  const int id = forked.worker_id;
  if (unanswered_.erase(id) == 0) return;
  if (forked.pid > 0) {
    Watch(id, forked.pid);
    reaper_.ForkEnded();
    events_.forked(id, forked.pid);
  } else {
    reaper_.ForkEnded();
    events_.fork_failed(id, {exit_code::kConfig, "cannot start a worker: fork failed", ""});
  }
}

void WorkerSpawner::OnMessage(int worker_id, const Message& message) {
  if (std::holds_alternative<StacksWritten>(message)) {
    stacks_.Written(channels_.at(worker_id)->pid);
  } else {
    events_.message(worker_id, message);
  }
}

void WorkerSpawner::OnExit(int worker_id, int pid, int status) {
  stacks_.Gone(pid);
  const auto channel = channels_.find(worker_id);
  if (channel != channels_.end()) {
    channel->second->pid = 0;
    channel->second->ReceiveAll();  // its last words come first
  }
  WorkerExit exit(DescribeExit(status));
  exit.signaled = WIFSIGNALED(status);
  exit.killed = exit.signaled && WTERMSIG(status) == SIGKILL;
  exit.out_of_memory = exit.killed && ooms_.TakeKill();
  events_.exited(worker_id, exit);
}

void WorkerSpawner::Forget(int worker_id) {
  if (errors_ != nullptr) errors_->Forget(worker_id);
  channels_.erase(worker_id);
}

void WorkerSpawner::SendGo(const WorkerHandle& worker) {
  Send(worker.id, Go{});
}

void WorkerSpawner::Send(int worker_id, const Message& message) {
  const auto channel = channels_.find(worker_id);
  if (channel == channels_.end()) return;
  if (Status sent = channel->second->Send(message); !sent) {
    spdlog::debug("worker {}: {}", worker_id, sent.error().message);
  }
}

void WorkerSpawner::DumpStacks(int worker_id, StackDump::Done done) {
  const auto channel = channels_.find(worker_id);
  if (channel == channels_.end() || channel->second->pid == 0) {
    loop_.Post([done = std::move(done)] { done({.missing = "the process is gone"}); });
  } else {
    stacks_.Start(channel->second->Target(), std::move(done));
  }
}

void WorkerSpawner::SendSignal(const WorkerHandle& worker, int signal) {
  // The pid cannot have been taken by another process: only the reaper collects it, on this thread.
  if (worker.pid > 0) kill(worker.pid, signal);
}

}  // namespace gunid
