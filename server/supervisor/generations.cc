#include "supervisor/generations.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <utility>

#include "base/log.h"
#include "base/log_file.h"
#include "gunid/exit_codes.h"

namespace gunid {
namespace {

// For clients whose connections are being established when the server stops.
constexpr std::chrono::milliseconds kHandshakeTime(100);
constexpr std::chrono::milliseconds kLookAtQueues(20);

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

// Little of the machine's memory is left for anything that is not needed.
bool MemoryIsShort() {
  constexpr std::uint64_t kShortPart = 20;  // a twentieth
  std::uint64_t total = 0;
  std::uint64_t available = 0;
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::string rest;
  while (file >> name) {
    if (name == "MemTotal:") file >> total;
    if (name == "MemAvailable:") file >> available;
    std::getline(file, rest);
  }
  return available < total / kShortPart;
}

// The workers write it. Here it is only made, by the process that has the right to.
Status MakeAccessLog(const Settings& settings, const std::optional<Account>& owner) {
  return settings.accesslog.empty() ? Status()
                                    : LogFile(STDOUT_FILENO).Open(settings.accesslog, owner);
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

Generations::Generations(EventLoop& loop, ZygoteFactory& zygotes, WorkerSpawner& spawner,
                         WorkerPool& pool, StartedFrom started_from, GenerationsObserver& observer)
    : loop_(loop),
      zygotes_(zygotes),
      spawner_(spawner),
      pool_(pool),
      started_from_(std::move(started_from)),
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

GenerationsState Generations::ToState() const {
  GenerationsState state{.last_number = last_number_, .generations = {}, .listeners = {}};
  std::vector<const ListenerSet*> listeners;
  const auto add = [&](const Generation& generation) {
    state.generations.push_back(
        {generation.number, SettingsToJson(generation.settings), generation.zygote->ToState()});
    listeners.push_back(&generation.listeners);
  };
  add(*serving_);
  for (const auto& generation : kept_) {
    if (generation->zygote->ready()) add(*generation);
  }
  state.listeners = ListenerSet::ToState(listeners);
  return state;
}

Status Generations::Adopt(const GenerationsState& state) {
  last_number_ = state.last_number;
  if (state.generations.empty() || state.listeners.sets.size() != state.generations.size())
    return Error{"the state of the running program names no generation"};
  std::vector<Settings> settings;
  for (const GenerationState& of : state.generations) {
    auto parsed = SettingsFromJson(of.settings);
    if (!parsed) return parsed.error();
    settings.push_back(std::move(*parsed));
  }
  // Sets that were dropped would remove the paths of the running server's sockets.
  std::vector<ListenerSet> listeners = ListenerSet::Adopt(state.listeners);
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    const GenerationState& of = state.generations[i];
    auto generation = std::make_unique<Generation>();
    generation->number = of.number;
    generation->settings = std::move(settings[i]);
    generation->listeners = std::move(listeners[i]);
    generation->zygote = zygotes_.Adopt(*this, of.zygote, of.number);
    spawner_.Register(*generation->zygote, generation->settings.greenlets());
    if (serving_) {
      kept_.push_back(std::move(generation));
    } else {
      serving_ = std::move(generation);
    }
  }
  pool_.SetLimits(serving_->settings);
  return Apply(serving_->settings);
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

void Generations::StartRollback() {
  RollBackTo(RolloutKind::kRollback);
}

void Generations::RollBackTo(RolloutKind kind) {
  rollout_ =
      std::make_unique<Rollout>(Rollout{std::move(kept_.front()), kind, RolloutState::kRolling});
  kept_.pop_front();
  const Generation& generation = *rollout_->generation;
  spdlog::info("Going back from generation {} to generation {}", serving_->number,
               generation.number);
  if (Status applied = Apply(generation.settings); !applied) {
    return FailRollout({exit_code::kConfig, applied.error().message, ""});
  }
  pool_.SetLimits(generation.settings);
  pool_.RollTo(generation.number, StopReason::kRollback);
}

std::vector<int> Generations::kept() const {
  std::vector<int> numbers;
  // While a rollout settles, the one before it is kept for its failure.
  for (const auto& generation : kept_) numbers.push_back(generation->number);
  return numbers;
}

void Generations::Settle() {
  discarded_.clear();
  if (!rollout_ || rollout_->state != RolloutState::kRolling || pool_.rolling()) return;
  Replaced();
}

void Generations::Replaced() {
  rollout_->state = NextRolloutState(rollout_->state, RolloutEvent::kReplaced);
  const bool first = serving_ == nullptr;
  if (!first) {
    rollout_->served_before = serving_->number;
    kept_.push_front(std::move(serving_));
  }
  serving_ = std::move(rollout_->generation);
  observer_.GenerationServes();
  // One that has served before has proven itself.
  const bool settles = !first && rollout_->kind == RolloutKind::kLoad;
  const double settle_s = settles ? serving_->settings.settle_time() : 0;
  if (settle_s <= 0) return Finish();
  settle_timer_ = loop_.RunAfter(FromSeconds(settle_s), [this] { Finish(); });
}

void Generations::Finish() {
  settle_timer_ = 0;
  rollout_->state = NextRolloutState(rollout_->state, RolloutEvent::kSettled);
  const RolloutKind kind = std::exchange(rollout_, nullptr)->kind;
  // Of a generation that has failed there is nothing to go back to.
  if (kind == RolloutKind::kReturn) {
    Discard(std::move(kept_.front()), {exit_code::kOk, "its generation has failed", ""});
    kept_.pop_front();
  }
  TrimKept(static_cast<std::size_t>(serving_->settings.keep_generations));
  observer_.RolloutFinished(kind);
}

void Generations::CancelSettling() {
  loop_.Cancel(settle_timer_);
  settle_timer_ = 0;
}

void Generations::TrimKept(std::size_t count) {
  const BootFailure why{exit_code::kOk, "its generation was replaced", ""};
  std::deque<std::unique_ptr<Generation>> staying;
  for (auto& generation : std::exchange(kept_, {})) {
    if (staying.size() < count && MayBeKept(*generation)) {
      staying.push_back(std::move(generation));
    } else {
      Discard(std::move(generation), why);
    }
  }
  kept_ = std::move(staying);
}

// The sockets of a kept generation are those of the serving one: others would be open, with nobody
// who accepts.
bool Generations::MayBeKept(const Generation& generation) const {
  if (!generation.zygote->ready()) return false;
  const auto served = serving_->listeners.addresses();
  const auto addresses = generation.listeners.addresses();
  const bool bound = std::ranges::all_of(addresses, [&served](const ListenerAddress& address) {
    return std::ranges::find(served, address) != served.end();
  });
  if (!bound) {
    spdlog::info("Generation {} is not kept for a rollback: bind has changed", generation.number);
    return false;
  }
  if (MemoryIsShort()) {
    spdlog::warn("Generation {} is not kept for a rollback: memory is short", generation.number);
    return false;
  }
  return true;
}

bool Generations::Fail(int generation, const BootFailure& failure) {
  if (!rollout_) return false;
  if (rollout_->state == RolloutState::kSettling) {
    if (serving_->number != generation) return false;
    FailRollout(failure);
    return true;
  }
  if (rollout_->generation->number != generation) return false;
  // The pool has finished it in this turn of the loop, and Settle() is about to see that.
  if (rollout_->state == RolloutState::kRolling && !pool_.rolling()) return false;
  FailRollout(failure);
  return true;
}

void Generations::FailRollout(const BootFailure& failure) {
  const bool settling = rollout_->state == RolloutState::kSettling;
  rollout_->state = NextRolloutState(rollout_->state, RolloutEvent::kFailure);
  const std::unique_ptr<Rollout> failed = std::move(rollout_);
  const std::string what = failed->kind == RolloutKind::kLoad ? "Reload failed" : "Rollback failed";
  if (settling) {
    CancelSettling();
    const bool can_return = !kept_.empty() && kept_.front()->number == failed->served_before;
    const std::string then = can_return
                                 ? std::to_string(failed->served_before) + " comes back"
                                 : std::to_string(serving_->number) +
                                       " serves on: the zygote of the one before it has died";
    LogBootFailure(what + ", generation " + then, failure);
    observer_.RolloutFailed(failed->kind, failure);
    if (can_return) RollBackTo(RolloutKind::kReturn);
    return;
  }
  if (serving_) {
    LogBootFailure(what + ", generation " + std::to_string(serving_->number) + " serves on",
                   failure);
    pool_.SetLimits(serving_->settings);
    pool_.RollBack();
    // The new generation's may have been applied already.
    static_cast<void>(Apply(serving_->settings));
  } else {
    LogBootFailure("Cannot start", failure);
    stopped_ = true;
  }
  observer_.RolloutFailed(failed->kind, failure);
  Discard(std::move(failed->generation), failure);
}

void Generations::StopListening(bool quick) {
  for (const Generation* generation :
       {serving_.get(), rollout_ ? rollout_->generation.get() : nullptr}) {
    if (generation == nullptr) continue;
    generation->listeners.StopListening();
    closing_.push_back(generation->listeners);
  }
  if (quick) {
    for (const ListenerSet& listeners : closing_) listeners.ShutDown();
    closing_.clear();
  } else {
    loop_.RunAfter(kHandshakeTime, [this] { ShutDownListeners(); });
  }
}

void Generations::Stop() {
  stopped_ = true;
  const BootFailure why{exit_code::kOk, "the server is being stopped", ""};
  CancelSettling();
  if (rollout_ && rollout_->generation) Discard(std::move(rollout_->generation), why);
  rollout_.reset();
  TrimKept(0);
  if (!serving_) return;
  spawner_.Unregister(*serving_->zygote, why);
  serving_->zygote->KillAndWait();
  serving_->listeners = {};
}

// The workers take what is queued, and end when there is nothing more to come.
void Generations::ShutDownListeners() {
  std::erase_if(closing_, [](const ListenerSet& listeners) { return listeners.ShutDownEmpty(); });
  if (!closing_.empty()) loop_.RunAfter(kLookAtQueues, [this] { ShutDownListeners(); });
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
  if (!serving_ && observer_.StartsAnew(settings)) return {};

  if (Status applied = Apply(settings); !applied) return applied;
  for (const std::string& warning : loaded.warnings) spdlog::warn("{}", warning);
  if (serving_) {
    const auto changed = ChangedRestartSettings(serving_->settings, settings);
    if (!changed.empty())
      spdlog::warn("Changes of {} take effect only at a restart", Join(changed));
  } else if (Status became = observer_.FirstSettingsLoaded(settings); !became) {
    return became;
  }

  if (!serving_ && !started_from_.inherited.activated().empty())
    spdlog::info("Socket activation: LISTEN_FDS takes the place of bind");
  auto listeners = ListenerSet::Open(settings, serving_ ? serving_->listeners : ListenerSet(),
                                     started_from_.inherited);
  if (!listeners) return listeners.error();
  generation.listeners = std::move(*listeners);
  if (!serving_ || generation.listeners.addresses() != serving_->listeners.addresses()) {
    LogListeners(generation.listeners);
  }
  return {};
}

// The directory is relative to where gunid was started, also at a reload.
Status Generations::Apply(const Settings& settings) const {
  const auto directory = std::filesystem::path(started_from_.directory) / settings.chdir;
  if (chdir(directory.c_str()) != 0) return Errno("chdir " + settings.chdir);
  // The workers open the logs themselves when they are rotated.
  const auto account = FindAccount(settings.user, settings.group, settings.initgroups);
  if (!account) return account.error();
  if (Status opened = OpenLog(settings.errorlog, settings.loglevel, *account); !opened) {
    return opened;
  }
  return MakeAccessLog(settings, *account);
}

Status Generations::RemakeAccessLog() const {
  if (!serving_) return {};
  const Settings& settings = serving_->settings;
  const auto account = FindAccount(settings.user, settings.group, settings.initgroups);
  return account ? MakeAccessLog(settings, *account) : account.error();
}

// Zygotes

Status Generations::StartZygote(Generation& generation) {
  auto zygote = zygotes_.Start(*this, generation.number);
  if (!zygote) return zygote.error();
  generation.zygote = std::move(*zygote);
  generation.zygote->LimitBootTime(BootTimeout(started_from_.layers));
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

void Generations::ZygoteLoadedSettings(Zygote& zygote, const SettingsLoaded& loaded) {
  Generation* generation = GenerationOf(zygote);
  if (generation == nullptr) return;
  // A zygote that replaces a dead one joins a generation whose settings stay as they are.
  if (generation != serving_.get()) {
    if (Status accepted = AcceptSettings(*generation, loaded); !accepted) {
      return FailRollout({exit_code::kConfig, accepted.error().message, ""});
    }
    if (stopped_) return;
    rollout_->state = NextRolloutState(rollout_->state, RolloutEvent::kSettingsAccepted);
  }
  zygote.LimitBootTime(generation->settings.boot_timeout);
  const ListenerSet& listeners = generation->listeners;
  zygote.SendListeners({listeners.addresses(), listeners.inherited()}, listeners.fds());
}

void Generations::ZygoteBecameReady(Zygote& zygote) {
  const Generation* generation = GenerationOf(zygote);
  if (generation == nullptr) return;
  spawner_.Register(zygote, generation->settings.greenlets());
  if (generation == serving_.get()) return pool_.Tick();
  if (generation->settings.check_config && !serving_) return observer_.ConfigurationChecked();
  rollout_->state = NextRolloutState(rollout_->state, RolloutEvent::kZygoteReady);
  pool_.SetLimits(generation->settings);
  pool_.RollTo(generation->number);
}

void Generations::ZygoteFailed(Zygote& zygote, const BootFailure& failure) {
  const Generation* generation = GenerationOf(zygote);
  if (generation == nullptr) return;
  spawner_.Unregister(zygote, failure);
  if (rollout_ && generation == rollout_->generation.get()) return FailRollout(failure);
  if (stopped_) return;
  if (generation != serving_.get()) {
    spdlog::warn("Generation {} is not kept for a rollback any more: {}", generation->number,
                 failure.message);
    const auto kept = std::ranges::find(kept_, generation, &std::unique_ptr<Generation>::get);
    discarded_.push_back(std::move(*kept));
    kept_.erase(kept);
    return;
  }
  LogBootFailure("Zygote lost, starting another", failure);
  observer_.ZygoteLost(failure);
  RestartZygoteLater();
}

void Generations::ZygoteLoadedFiles(const FilesLoaded& loaded) {
  observer_.FilesWereLoaded(loaded);
}

void Generations::ZygoteForked(Zygote& /*zygote*/, const Forked& forked) {
  spawner_.Answer(forked);
}

// nullptr: of one that was discarded in this turn of the loop.
Generation* Generations::GenerationOf(const Zygote& zygote) const {
  const auto has = [&zygote](const std::unique_ptr<Generation>& generation) {
    return generation && generation->zygote.get() == &zygote;
  };
  if (rollout_ && has(rollout_->generation)) return rollout_->generation.get();
  if (has(serving_)) return serving_.get();
  const auto kept = std::ranges::find_if(kept_, has);
  return kept != kept_.end() ? kept->get() : nullptr;
}

}  // namespace gunid
