#include "python/executor_inline.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>

#include "base/background_thread.h"
#include "engine/serving.h"
#include "python/gil.h"

namespace gunid {
namespace {

// Handing the loop over and back costs more than a short delay of other clients' bytes.
constexpr std::chrono::milliseconds kSinglePatience(10);

class MainThreadCaller : public ApplicationCaller {
 public:
  MainThreadCaller(WsgiCall& call, MainThreadInterrupt& interrupt)
      : call_(call), interrupt_(interrupt) {}

  void BeforeWait() override { gil_.GiveUp(); }
  void Call(Exchange& exchange) override {
    gil_.Take();
    interrupt_.Begin(exchange.serial());
    call_.Run(exchange);
    interrupt_.End();
  }

 private:
  WsgiCall& call_;
  MainThreadInterrupt& interrupt_;
  GilKeeper gil_;
};

}  // namespace

void InlineExecutor::Run(Engine& engine) {
  if (Status installed = interrupt_.Install(); !installed) {
    spdlog::critical("{}", installed.error().message);
    _exit(installed.error().exit_code);
  }
  Leadership leadership(kSinglePatience);
  MainThreadCaller caller(call_, interrupt_);
  const BackgroundThread companion([&] { KeepLoopGoing(engine, leadership); });
  engine.Begin();
  ServeAlone(engine, leadership, caller);
}

}  // namespace gunid
