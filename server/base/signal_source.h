// Turns signals into calls on the supervisor's loop thread (signalfd): the one place where a signal
// becomes a value. The constructor blocks the signals for the process, so make it before any thread
// is started; children that are started get the mask from before back (ChildProcess does that with
// `original_mask`).
#pragma once

#include <csignal>
#include <functional>
#include <initializer_list>

#include "base/event_loop.h"

namespace gunid {

class SignalSource : public EventHandler {
 public:
  SignalSource(EventLoop& loop, std::initializer_list<int> signals,
               std::function<void(int)> on_signal);
  ~SignalSource() override;

  [[nodiscard]] const sigset_t& original_mask() const { return original_mask_; }

 private:
  void OnEvents(std::uint32_t events) override;

  EventLoop& loop_;
  std::function<void(int)> on_signal_;
  sigset_t original_mask_;
  UniqueFd fd_;
};

}  // namespace gunid
