#include "supervisor/zygote_handle.h"

#include <spdlog/spdlog.h>
#include <sys/wait.h>

#include <utility>
#include <variant>

#include "base/child_process.h"
#include "gunid/exit_codes.h"

namespace gunid {
namespace {

// A fork takes milliseconds; a zygote that needs longer hangs, or was stopped.
constexpr double kForkSeconds = 10;

}  // namespace

Result<std::unique_ptr<ZygoteHandle>> ZygoteHandle::Start(EventLoop& loop, Reaper& reaper,
                                                          StackDump& stacks,
                                                          ZygoteObserver& observer,
                                                          const ZygoteProgram& program,
                                                          int generation) {
  auto pair = MessageSocket::Pair();
  if (!pair) return pair.error();
  auto& [ours, theirs] = *pair;
  auto stack_file = StackFile::Create();
  if (!stack_file) return stack_file.error();

  ChildProcess child{
      .program = program.file.PathToRun(),
      .arguments = {program.file.path(), "--zygote"},
      .directory = program.directory,
      .fds = {{theirs.fd(), kSpawnSocketFd},
              {program.scoreboard_fd, kScoreboardFd},
              {stack_file->fd(), kStackFd},
              {program.handover_sending_fd, kHandoverSendingFd},
              {program.handover_receiving_fd, kHandoverReceivingFd}},
      .signal_mask = program.signal_mask,
  };
  child.fds.insert(child.fds.end(), program.streams.begin(), program.streams.end());
  // The zygote lets it through when it has a handler: until then it would die of it.
  sigaddset(&child.signal_mask, SIGRTMIN + kStackSignal);
  auto pid = Spawn(child);
  if (!pid) return pid.error();

  std::unique_ptr<ZygoteHandle> zygote(
      new ZygoteHandle(loop, reaper, stacks, observer, std::move(*stack_file), generation));
  zygote->Begin(*pid, std::move(ours));
  // A failure to send shows as the zygote's exit.
  static_cast<void>(zygote->socket_.Send(EncodeMessage(LoadRequest{generation, program.layers})));
  return zygote;
}

std::unique_ptr<ZygoteHandle> ZygoteHandle::Adopt(EventLoop& loop, Reaper& reaper,
                                                  StackDump& stacks, ZygoteObserver& observer,
                                                  const ZygoteState& state, int generation) {
  std::unique_ptr<ZygoteHandle> zygote(new ZygoteHandle(
      loop, reaper, stacks, observer, StackFile(UniqueFd(state.stack_fd)), generation));
  zygote->Begin(state.pid, MessageSocket(UniqueFd(state.socket_fd)));
  zygote->state_ = State::kReady;
  return zygote;
}

void ZygoteHandle::Begin(pid_t pid, MessageSocket socket) {
  pid_ = pid;
  socket_ = std::move(socket);
  loop_.Add(socket_.fd(), EPOLLIN, this);
  reaper_.Watch(pid, [this](int status) { Exited(status); });
}

ZygoteHandle::~ZygoteHandle() {
  CancelTimers();
  if (!exited_) {
    stacks_.Forget(pid_);
    reaper_.Forget(pid_);
    kill(pid_, SIGKILL);
  }
  if (socket_) loop_.Remove(socket_.fd(), this);
}

void ZygoteHandle::LimitBootTime(double seconds) {
  loop_.Cancel(boot_timer_);
  boot_timer_ = 0;
  if (seconds <= 0) return;
  boot_timer_ = loop_.RunAfter(FromSeconds(seconds), [this] {
    const bool loading = state_ == State::kLoading;
    GiveUp(loading ? "the configuration was not loaded within boot_timeout"
                   : "the application was not loaded within boot_timeout");
  });
}

// It fails when it has exited. Before it is killed it writes the stack of what hangs.
void ZygoteHandle::GiveUp(const std::string& why) {
  if (given_up()) return;
  given_up_ = {exit_code::kBootError, why, ""};
  stacks_.Start({.pid = pid_, .file = &stack_file_}, [this](const DumpedStacks& stacks) {
    given_up_.traceback = CutToFit(stacks.text);
    kill(pid_, SIGKILL);
  });
}

void ZygoteHandle::SendListeners(const ListenersOpened& listeners, const std::vector<int>& fds) {
  if (state_ == State::kLoading) state_ = State::kImporting;
  if (Status sent = socket_.Send(EncodeMessage(listeners), fds); !sent) {
    Fail({exit_code::kConfig, sent.error().message, ""});
  }
}

Status ZygoteHandle::Fork(const ForkRequest& request, int channel_fd, int stack_fd, int errors_fd) {
  std::vector<int> fds{channel_fd, stack_fd};
  if (errors_fd >= 0) fds.push_back(errors_fd);
  if (Status sent = socket_.Send(EncodeMessage(request), fds); !sent) return sent;
  if (forks_under_way_++ == 0) LimitForkTime();
  return {};
}

void ZygoteHandle::LimitForkTime() {
  loop_.Cancel(fork_timer_);
  fork_timer_ = loop_.RunAfter(FromSeconds(kForkSeconds), [this] {
    GiveUp("the zygote (pid:" + std::to_string(pid_) + ") does not fork workers any more");
  });
}

void ZygoteHandle::KillAndWait() {
  state_ = State::kFailed;
  CancelTimers();
  if (std::exchange(exited_, true)) return;
  stacks_.Forget(pid_);
  reaper_.Forget(pid_);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);  // at once
}

void ZygoteHandle::OnEvents(std::uint32_t /*events*/) {
  ReceiveAll();
}

void ZygoteHandle::ReceiveAll() {
  while (socket_) {
    auto packet = socket_.Receive();
    if (!packet) {  // EOF: its exit, which tells why, comes from the reaper
      loop_.Remove(socket_.fd(), this);
      socket_.Close();
      return;
    }
    if (!*packet) return;
    auto message = DecodeMessage((*packet)->bytes);
    if (message) {
      Handle(*message);
    } else {
      spdlog::error("message of the zygote: {}", message.error().message);
    }
  }
}

void ZygoteHandle::Handle(const Message& message) {
  if (const auto* loaded = std::get_if<SettingsLoaded>(&message)) {
    observer_.ZygoteLoadedSettings(*this, *loaded);
  } else if (std::holds_alternative<ZygoteReady>(message)) {
    if (state_ == State::kFailed || given_up()) return;
    state_ = State::kReady;
    loop_.Cancel(boot_timer_);
    observer_.ZygoteBecameReady(*this);
  } else if (const auto* failure = std::get_if<BootFailure>(&message)) {
    Fail(*failure);
  } else if (const auto* forked = std::get_if<Forked>(&message)) {
    loop_.Cancel(fork_timer_);
    if (--forks_under_way_ > 0) LimitForkTime();
    // It runs code of the application, perhaps as another user: what it names is going to be killed.
    if (forked->pid > 0 && !reaper_.IsUnwatchedChild(forked->pid)) {
      return GiveUp("the zygote (pid:" + std::to_string(pid_) + ") names process " +
                    std::to_string(forked->pid) + ", which is no worker");
    }
    observer_.ZygoteForked(*this, *forked);
  } else if (const auto* files = std::get_if<FilesLoaded>(&message)) {
    observer_.ZygoteLoadedFiles(*files);
  }
}

void ZygoteHandle::Exited(int status) {
  exited_ = true;
  stacks_.Forget(pid_);
  ReceiveAll();
  if (given_up()) return Fail(given_up_);
  Fail({exit_code::kBootError,
        "the zygote (pid:" + std::to_string(pid_) + ") " + DescribeExit(status), ""});
}

void ZygoteHandle::Fail(const BootFailure& failure) {
  if (state_ == State::kFailed) return;
  state_ = State::kFailed;
  CancelTimers();
  observer_.ZygoteFailed(*this, failure);
}

void ZygoteHandle::CancelTimers() {
  loop_.Cancel(boot_timer_);
  loop_.Cancel(fork_timer_);
}

Result<std::unique_ptr<Zygote>> ZygoteProcesses::Start(ZygoteObserver& observer, int generation) {
  auto zygote = ZygoteHandle::Start(loop_, reaper_, stacks_, observer, program_, generation);
  if (!zygote) return zygote.error();
  return std::unique_ptr<Zygote>(std::move(*zygote));
}

std::unique_ptr<Zygote> ZygoteProcesses::Adopt(ZygoteObserver& observer, const ZygoteState& state,
                                               int generation) {
  return ZygoteHandle::Adopt(loop_, reaper_, stacks_, observer, state, generation);
}

}  // namespace gunid
