#include "supervisor/worker_state.h"

namespace gunid {
namespace {

using A = WorkerAction;
using E = WorkerEvent;
using S = WorkerState;

WorkerTransition FromSpawning(WorkerEvent event) {
  switch (event) {
    case E::kForked:
      return {S::kBooting, {A::kSendGo, A::kArmBootDeadline}};
    case E::kForkFailed:
    case E::kExited:
      return {S::kGone, {A::kReportBootFailure}};
    case E::kDrain:
    case E::kQuit:
      return {S::kKilling};  // killed as soon as it has a pid
    case E::kReady:
    case E::kBootFailed:
    case E::kDrains:
    case E::kStuck:
    case E::kDeadline:
    case E::kHangs:
      break;
  }
  return {S::kSpawning};
}

WorkerTransition FromBooting(WorkerEvent event) {
  switch (event) {
    case E::kReady:
      return {S::kReady, {A::kDisarm, A::kReportReady}};
    case E::kBootFailed:
      return {S::kKilling, {A::kArmKillDeadline, A::kReportBootFailure}};
    case E::kDrain:
      return {S::kDraining, {A::kSendTerm, A::kArmDrainDeadline}};
    case E::kQuit:
      return {S::kKilling, {A::kSendQuit, A::kArmKillDeadline}};
    case E::kDeadline:
      return {S::kBooting, {A::kDumpStacks}};
    case E::kHangs:
      return {S::kKilling, {A::kSendKill, A::kArmKillDeadline, A::kReportBootFailure}};
    case E::kExited:
      return {S::kGone, {A::kReportBootFailure}};
    case E::kForked:
    case E::kForkFailed:
    case E::kDrains:
    case E::kStuck:
      break;
  }
  return {S::kBooting};
}

WorkerTransition FromReady(WorkerEvent event) {
  switch (event) {
    case E::kDrain:
      return {S::kDraining, {A::kSendTerm, A::kArmDrainDeadline}};
    case E::kDrains:
      return {S::kDraining, {A::kArmDrainDeadline}};
    case E::kQuit:
      return {S::kKilling, {A::kSendQuit, A::kArmKillDeadline}};
    case E::kExited:
      return {S::kGone, {A::kReportCrash}};
    case E::kForked:
    case E::kForkFailed:
    case E::kReady:
    case E::kBootFailed:
    case E::kStuck:
    case E::kDeadline:
    case E::kHangs:
      break;
  }
  return {S::kReady};
}

WorkerTransition FromDraining(WorkerEvent event) {
  switch (event) {
    case E::kQuit:
      return {S::kKilling, {A::kSendQuit, A::kArmKillDeadline}};
    case E::kStuck:
    case E::kDeadline:
      return {S::kKilling, {A::kSendKill, A::kArmKillDeadline}};
    case E::kExited:
      return {S::kGone};
    case E::kForked:
    case E::kForkFailed:
    case E::kReady:
    case E::kBootFailed:
    case E::kDrain:
    case E::kDrains:
    case E::kHangs:
      break;
  }
  return {S::kDraining};
}

WorkerTransition FromKilling(WorkerEvent event) {
  switch (event) {
    case E::kForked:
      return {S::kKilling, {A::kSendKill, A::kArmKillDeadline}};
    case E::kForkFailed:
    case E::kExited:
      return {S::kGone};
    case E::kDeadline:
      return {S::kKilling, {A::kSendKill, A::kArmKillDeadline}};
    case E::kReady:
    case E::kBootFailed:
    case E::kDrain:
    case E::kQuit:
    case E::kDrains:
    case E::kStuck:
    case E::kHangs:
      break;
  }
  return {S::kKilling};
}

}  // namespace

WorkerTransition NextWorkerState(WorkerState state, WorkerEvent event) {
  switch (state) {
    case S::kSpawning:
      return FromSpawning(event);
    case S::kBooting:
      return FromBooting(event);
    case S::kReady:
      return FromReady(event);
    case S::kDraining:
      return FromDraining(event);
    case S::kKilling:
      return FromKilling(event);
    case S::kGone:
      break;
  }
  return {S::kGone};
}

std::string_view WorkerStateName(WorkerState state) {
  switch (state) {
    case S::kSpawning:
      return "spawning";
    case S::kBooting:
      return "booting";
    case S::kReady:
      return "ready";
    case S::kDraining:
      return "draining";
    case S::kKilling:
      return "killing";
    case S::kGone:
      break;
  }
  return "gone";
}

std::string_view StopReasonName(StopReason reason) {
  switch (reason) {
    case StopReason::kNone:
      return "none";
    case StopReason::kMaxRequests:
      return "max_requests";
    case StopReason::kMemory:
      return "memory";
    case StopReason::kLifetime:
      return "lifetime";
    case StopReason::kScaleDown:
      return "scale_down";
    case StopReason::kReload:
      return "reload";
    case StopReason::kRollback:
      return "rollback";
    case StopReason::kRestart:
      return "restart";
    case StopReason::kTimeout:
      return "timeout";
    case StopReason::kShutdown:
      return "shutdown";
    case StopReason::kOperator:
      return "operator";
    case StopReason::kBootFailure:
      return "boot_failure";
    case StopReason::kOom:
      return "oom";
    case StopReason::kCrash:
      break;
  }
  return "crash";
}

}  // namespace gunid
