#include "worker/supervisor_link.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <future>
#include <utility>

namespace gunid {
namespace {

void UnblockStackSignal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + kStackSignal);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

UniqueFd OpenEvent() {
  UniqueFd event(eventfd(0, EFD_CLOEXEC));
  if (!event) std::abort();
  return event;
}

}  // namespace

SupervisorLink::SupervisorLink(MessageSocket& channel, SupervisorRequests requests)
    : channel_(channel), requests_(std::move(requests)), stop_(OpenEvent()) {
  caller_.emplace([this] { RunCalls(); });
  std::promise<int> thread_id;
  listener_.emplace([this, &thread_id] {
    UnblockStackSignal();
    thread_id.set_value(gettid());
    Listen();
  });
  listener_id_ = thread_id.get_future().get();
}

SupervisorLink::~SupervisorLink() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  called_.notify_one();
  eventfd_write(stop_.get(), 1);
  listener_.reset();
  caller_.reset();
}

void SupervisorLink::Send(const Message& message) const {
  static_cast<void>(channel_.Send(EncodeMessage(message)));
}

void SupervisorLink::Listen() {
  pollfd fds[] = {{stop_.get(), POLLIN, 0}, {channel_.fd(), POLLIN, 0}};
  while (fds[0].revents == 0) {
    if (poll(fds, std::size(fds), -1) > 0 && fds[1].revents != 0) Receive();
  }
}

void SupervisorLink::Receive() {
  auto packet = channel_.Receive();
  if (!packet) {
    if (packet.error().message != MessageSocket::kClosed) {
      spdlog::critical("{}: this process ends", packet.error().message);
    }
    // Whatever the other threads are doing: nothing is left to serve for.
    _exit(EXIT_FAILURE);
  }
  if (!*packet) return;
  auto message = DecodeMessage((*packet)->bytes);
  if (message) {
    Handle(*message);
  } else {
    spdlog::error("ignored what the supervisor said: {}", message.error().message);
  }
}

void SupervisorLink::Handle(const Message& message) {
  if (const auto* cancel = std::get_if<CancelRequest>(&message)) {
    Call([this, serial = cancel->serial] { requests_.cancel(serial); });
  } else if (const auto* abandon = std::get_if<AbandonRequest>(&message)) {
    requests_.abandon(abandon->serial);
  } else if (std::holds_alternative<StacksWanted>(message)) {
    Call([this] { requests_.write_stacks(); });
  } else {
    spdlog::error("ignored what the supervisor said: not a request to a running worker");
  }
}

void SupervisorLink::Call(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    calls_.push_back(std::move(call));
  }
  called_.notify_one();
}

void SupervisorLink::RunCalls() {
  while (const auto call = NextCall()) call();
}

std::function<void()> SupervisorLink::NextCall() {
  std::unique_lock lock(mutex_);
  called_.wait(lock, [this] { return stopping_ || !calls_.empty(); });
  if (stopping_) return nullptr;
  auto call = std::move(calls_.front());
  calls_.pop_front();
  return call;
}

}  // namespace gunid
