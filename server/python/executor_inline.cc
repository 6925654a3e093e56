#include "python/executor_inline.h"

namespace gunid {

void InlineExecutor::Submit(Exchange& exchange) {
  call_.Run(exchange);
  sink_->Completed(exchange);
}

void InlineExecutor::BeforeWait() {
  thread_state_ = PyEval_SaveThread();
}

void InlineExecutor::AfterWait() {
  PyEval_RestoreThread(thread_state_);
}

}  // namespace gunid
