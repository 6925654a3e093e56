#include "supervisor/operations.h"

#include <algorithm>

namespace gunid {

bool Operations::Waiting(CommandId id) const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [id](const Operation& operation) { return operation.id == id; });
}

void Operations::Finish(CommandId id,
                        const std::function<CommandResult(TimePoint started)>& answer) {
  const auto finished =
      std::stable_partition(waiting_.begin(), waiting_.end(),
                            [id](const Operation& operation) { return operation.id != id; });
  std::vector<Operation> ended(std::make_move_iterator(finished),
                               std::make_move_iterator(waiting_.end()));
  waiting_.erase(finished, waiting_.end());
  for (const Operation& operation : ended) operation.done(answer(operation.started));
}

void Operations::Fail(CommandId id, int http_status, const ErrorReport& error) {
  Finish(id, [&](TimePoint /*started*/) { return ErrorResult(http_status, error); });
}

}  // namespace gunid
