#include "engine/serving.h"

namespace gunid {
namespace {

// The next exchange to execute; null when the engine is finished.
Exchange* Await(Engine& engine, ApplicationCaller& caller) {
  while (true) {
    if (Exchange* exchange = engine.Turn(&caller)) return exchange;
    if (engine.finished()) return nullptr;
    caller.BeforeWait();  // nothing to call for now, and others may want it
  }
}

// False: another thread has taken the lead meanwhile.
bool Execute(Engine& engine, Leadership& leadership, ApplicationCaller& caller,
             Exchange& exchange) {
  const Leadership::Departure departure = leadership.Leave();
  caller.Call(exchange);
  if (leadership.Return(departure)) {
    engine.Complete(exchange);
    return true;
  }
  caller.BeforeWait();
  engine.CompleteLater(exchange);
  return false;
}

void EndAsLeader(Engine& engine, Leadership& leadership) {
  engine.End();
  leadership.End();
}

}  // namespace

void ServeTogether(Engine& engine, Leadership& leadership, ApplicationCaller& caller, bool leads) {
  if (!leads && !leadership.StandBy()) return;
  while (Exchange* exchange = Await(engine, caller)) {
    if (!Execute(engine, leadership, caller, *exchange) && !leadership.StandBy()) return;
  }
  EndAsLeader(engine, leadership);
}

void ServeAlone(Engine& engine, Leadership& leadership, ApplicationCaller& caller) {
  while (Exchange* exchange = Await(engine, caller)) {
    if (Execute(engine, leadership, caller, *exchange)) continue;
    leadership.DemandBack([&] { engine.loop().Wake(); });
  }
  EndAsLeader(engine, leadership);
}

void KeepLoopGoing(Engine& engine, Leadership& leadership) {
  while (leadership.StandBy()) {
    while (!leadership.demanded() && !engine.finished()) engine.TurnWithoutExecution();
    // Does not return while the other thread is in its call. If it is on its way back it ends the
    // engine once more, which changes nothing.
    if (!leadership.demanded()) engine.End();
    leadership.HandBack();
  }
}

}  // namespace gunid
