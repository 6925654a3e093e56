#include "supervisor/generations.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "base/log.h"
#include "gunid/exit_codes.h"

namespace gunid {
namespace {

std::string Join(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : ", ") + word;
  return joined;
}

// Before the configuration file is read, by what is known without it.
double BootTimeout(const std::vector<SettingsLayer>& layers) {
  const auto settings = MergeSettings(layers);
  return settings ? settings->boot_timeout : Settings().boot_timeout;
}

void LogListeners(const ListenerSet& listeners) {
  for (const ListenerAddress& address : listeners.addresses()) {
    spdlog::info("Listening at: {} ({})", address.ToString(), getpid());
  }
}

}  // namespace

void LogBootFailure(const std::string& what, const BootFailure& failure) {
  spdlog::error("{}: {}{}{}", what, failure.message, failure.traceback.empty() ? "" : "\n",
                failure.traceback);
}

Generations::Generations(EventLoop& loop, Reaper& reaper, StackDump& stacks, WorkerSpawner& spawner,
                         WorkerPool& pool, ZygoteProgram program, GenerationsObserver& observer)
    : loop_(loop),
      reaper_(reaper),
      stacks_(stacks),
      spawner_(spawner),
      pool_(pool),
      program_(std::move(program)),
      observer_(observer) {}

const Settings& Generations::settings() const {
  static const Settings kDefaults;
  if (serving_) return serving_->settings;
  return rollout_ ? rollout_->generation->settings : kDefaults;
}

const ListenerSet& Generations::listeners() const {
  static const ListenerSet kNone;
  if (serving_) return serving_->listeners;
  return rollout_ ? rollout_->generation->listeners : kNone;
}

// Rollouts

void Generations::StartRollout() {
  rollout_ = std::make_unique<Rollout>();
  rollout_->generation = std::make_unique<Generation>();
  rollout_->generation->number = ++last_number_;
  if (Status started = StartZygote(*rollout_->generation); !started) {
    FailRollout({exit_code::kConfig, started.error().message, ""});
  }
}

void Generations::Settle() {
  discarded_.clear();
  if (!rollout_ || rollout_->state != RolloutState::kRolling || pool_.rolling()) return;
  rollout_->state = NextRolloutState(rollout_->state, RolloutEvent::kReplaced);
  const std::unique_ptr<Rollout> done = std::move(rollout_);
  if (serving_) Discard(std::move(serving_), {exit_code::kOk, "its generation was replaced", ""});
  serving_ = std::move(done->generation);
  observer_.RolloutFinished();
}

bool Generations::Fail(int generation, const BootFailure& failure) {
  if (!rollout_ || rollout_->generation->number != generation) return false;
  // The pool has finished it in this turn of the loop, and Settle() is about to see that.
  if (rollout_->state == RolloutState::kRolling && !pool_.rolling()) return false;
  FailRollout(failure);
  return true;
}

void Generations::FailRollout(const BootFailure& failure) {
  rollout_->state = NextRolloutState(rollout_->state, RolloutEvent::kFailure);
  const std::unique_ptr<Rollout> failed = std::move(rollout_);
  if (serving_) {
    LogBootFailure("Reload failed, generation " + std::to_string(serving_->number) + " serves on",
                   failure);
    pool_.SetTimeouts(serving_->settings);
    pool_.RollBack();
    // The new generation's may have been applied already.
    static_cast<void>(Apply(serving_->settings));
  } else {
    LogBootFailure("Cannot start", failure);
    stopped_ = true;
  }
  observer_.RolloutFailed(failure);
  Discard(std::move(failed->generation), failure);
}

void Generations::Stop() {
  stopped_ = true;
  const BootFailure why{exit_code::kOk, "the server is being stopped", ""};
  if (rollout_) Discard(std::move(std::exchange(rollout_, nullptr)->generation), why);
  if (!serving_) return;
  spawner_.Unregister(*serving_->zygote, why);
  serving_->zygote->KillAndWait();
  serving_->listeners.ShutDown();
  serving_->listeners = {};
}

void Generations::Discard(std::unique_ptr<Generation> generation, const BootFailure& why) {
  if (generation->zygote) {
    spawner_.Unregister(*generation->zygote, why);
    if (stopped_) generation->zygote->KillAndWait();  // gunid must not end before it
  }
  discarded_.push_back(std::move(generation));
}

// Settings

Status Generations::AcceptSettings(Generation& generation, const SettingsLoaded& loaded) {
  auto parsed = SettingsFromJson(loaded.settings);
  if (!parsed) return parsed.error();
  generation.settings = std::move(*parsed);
  const Settings& settings = generation.settings;
  if (settings.check_config && !serving_) return {};

  if (Status applied = Apply(settings); !applied) return applied;
  for (const std::string& warning : loaded.warnings) spdlog::warn("{}", warning);
  if (serving_) {
    const auto changed = ChangedRestartSettings(serving_->settings, settings);
    if (!changed.empty())
      spdlog::warn("Changes of {} take effect only at a restart", Join(changed));
  } else if (Status became = observer_.FirstSettingsLoaded(settings); !became) {
    return became;
  }

  auto listeners = ListenerSet::Open(settings, serving_ ? serving_->listeners : ListenerSet());
  if (!listeners) return listeners.error();
  generation.listeners = std::move(*listeners);
  if (!serving_ || generation.listeners.addresses() != serving_->listeners.addresses()) {
    LogListeners(generation.listeners);
  }
  return {};
}

// The directory is relative to where gunid was started, also at a reload.
Status Generations::Apply(const Settings& settings) const {
  const auto directory = std::filesystem::path(program_.directory) / settings.chdir;
  if (chdir(directory.c_str()) != 0) return Errno("chdir " + settings.chdir);
  return OpenLog(settings.errorlog, settings.loglevel);
}

// Zygotes

Status Generations::StartZygote(Generation& generation) {
  auto zygote = ZygoteHandle::Start(loop_, reaper_, stacks_, *this, program_, generation.number);
  if (!zygote) return zygote.error();
  generation.zygote = std::move(*zygote);
  generation.zygote->LimitBootTime(BootTimeout(program_.layers));
  return {};
}

void Generations::RestartZygoteLater() {
  zygote_backoff_.Failed(Clock().Now());
  loop_.RunAt(zygote_backoff_.allowed_at(), [this] { RestartZygote(); });
}

void Generations::RestartZygote() {
  // A reload may have brought another in the meantime.
  if (stopped_ || !serving_->zygote->failed()) return;
  if (Status started = StartZygote(*serving_); !started) {
    spdlog::error("{}", started.error().message);
    RestartZygoteLater();
  }
}

void Generations::ZygoteLoadedSettings(ZygoteHandle& zygote, const SettingsLoaded& loaded) {
  Generation* generation = GenerationOf(zygote);
  if (generation == nullptr) return;
  // A zygote that replaces a dead one joins a generation whose settings stay as they are.
  if (generation != serving_.get()) {
    if (Status accepted = AcceptSettings(*generation, loaded); !accepted) {
      return FailRollout({exit_code::kConfig, accepted.error().message, ""});
    }
    rollout_->state = NextRolloutState(rollout_->state, RolloutEvent::kSettingsAccepted);
  }
  zygote.LimitBootTime(generation->settings.boot_timeout);
  zygote.SendListeners({generation->listeners.addresses()}, generation->listeners.fds());
}

void Generations::ZygoteBecameReady(ZygoteHandle& zygote) {
  const Generation* generation = GenerationOf(zygote);
  if (generation == nullptr) return;
  spawner_.Register(zygote, generation->settings.greenlets());
  if (generation == serving_.get()) return pool_.Tick();
  if (generation->settings.check_config && !serving_) return observer_.ConfigurationChecked();
  rollout_->state = NextRolloutState(rollout_->state, RolloutEvent::kZygoteReady);
  pool_.SetTimeouts(generation->settings);
  pool_.RollTo(generation->number);
}

void Generations::ZygoteFailed(ZygoteHandle& zygote, const BootFailure& failure) {
  const Generation* generation = GenerationOf(zygote);
  if (generation == nullptr) return;
  spawner_.Unregister(zygote, failure);
  if (generation != serving_.get()) return FailRollout(failure);
  if (stopped_) return;
  LogBootFailure("Zygote lost, starting another", failure);
  observer_.ZygoteLost(failure);
  RestartZygoteLater();
}

void Generations::ZygoteForked(ZygoteHandle& /*zygote*/, const Forked& forked) {
  spawner_.Answer(forked);
}

// nullptr: of one that was discarded in this turn of the loop.
Generation* Generations::GenerationOf(const ZygoteHandle& zygote) const {
  if (rollout_ && rollout_->generation->zygote.get() == &zygote) return rollout_->generation.get();
  return serving_ && serving_->zygote.get() == &zygote ? serving_.get() : nullptr;
}

}  // namespace gunid
