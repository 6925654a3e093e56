#include "base/signal_source.h"

#include <sys/signalfd.h>

namespace gunid {

SignalSource::SignalSource(EventLoop& loop, std::initializer_list<int> signals,
                           std::function<void(int)> on_signal)
    : loop_(loop), on_signal_(std::move(on_signal)) {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : signals) sigaddset(&mask, signal);
  pthread_sigmask(SIG_BLOCK, &mask, &original_mask_);
  fd_.Reset(signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  loop_.Add(fd_.get(), EPOLLIN, this);
}

SignalSource::~SignalSource() {
  loop_.Remove(fd_.get(), this);
}

void SignalSource::OnEvents(std::uint32_t /*events*/) {
  signalfd_siginfo info;
  while (::read(fd_.get(), &info, sizeof info) == sizeof info) {
    on_signal_(static_cast<int>(info.ssi_signo));
  }
}

}  // namespace gunid
