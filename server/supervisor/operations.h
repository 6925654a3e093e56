// Commands whose answer waits for an operation to end: scale, reload, restart, stop. Supervisor's
// loop thread.
#pragma once

#include <functional>
#include <vector>

#include "base/clock.h"
#include "supervisor/command.h"

namespace gunid {

class Operations {
 public:
  using Done = std::function<void(CommandResult)>;

  void Add(CommandId id, TimePoint started, Done done) {
    waiting_.push_back({id, started, std::move(done)});
  }
  [[nodiscard]] bool Waiting(CommandId id) const;

  // Answers, once, each command of that id that waits.
  void Finish(CommandId id, const std::function<CommandResult(TimePoint started)>& answer);
  void Fail(CommandId id, int http_status, const ErrorReport& error);

 private:
  struct Operation {
    CommandId id;
    TimePoint started;
    Done done;
  };
  std::vector<Operation> waiting_;
};

}  // namespace gunid
