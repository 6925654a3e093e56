// Loads generations and brings them into service: the first start, every reload and every rollback
// are the same rollout (supervisor/rollout.h). Owns the serving generation, the next one while a
// rollout is under way, the earlier ones that are kept for a rollback, and their zygotes. The zygote
// of the serving generation is replaced when it dies; a kept generation is given up then.
// Supervisor's loop thread.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "supervisor/backoff.h"
#include "supervisor/rollout.h"
#include "supervisor/worker_spawner.h"

namespace gunid {

// What the supervisor has to know.
class GenerationsObserver {
 public:
  virtual ~GenerationsObserver() = default;
  // Once, when the first settings are known. True: it is stopped, because the program starts anew.
  virtual bool StartsAnew(const Settings& settings) = 0;
  // Once, before anything is bound: become the server that these settings describe.
  virtual Status FirstSettingsLoaded(const Settings& settings) = 0;
  // At a first start with check_config: the application could be loaded, and that was all.
  virtual void ConfigurationChecked() = 0;
  // Nothing serves but serving(), which is another one now: its settings hold.
  virtual void GenerationServes() = 0;
  // The generation that served before serves on, or is on its way back, or cannot come back and the
  // new one serves on; at the first start nothing serves, and the program has to end.
  virtual void RolloutFailed(RolloutKind kind, const BootFailure& failure) = 0;
  // serving() has proven itself.
  virtual void RolloutFinished(RolloutKind kind) = 0;
  // The serving generation cannot fork workers for the moment; those it has serve on.
  virtual void ZygoteLost(const BootFailure& failure) = 0;
  // While the application was preloaded, with --reload.
  virtual void FilesWereLoaded(const FilesLoaded& loaded) = 0;
};

// For the program that takes the supervisor's place: generations with ready zygotes.
struct GenerationState {
  int number = 0;
  std::string settings;  // JSON, as SettingsToJson
  ZygoteState zygote;
};
struct GenerationsState {
  int last_number = 0;
  std::vector<GenerationState> generations;  // the serving one, then those that are kept
  ListenerSetsState listeners;               // a set of each, in the same order
};

// What is the same for all generations.
struct StartedFrom {
  std::string directory;
  std::vector<SettingsLayer> layers;  // without that of the configuration file
  InheritedSockets inherited;
};

class Generations : private ZygoteObserver {
 public:
  Generations(EventLoop& loop, ZygoteFactory& zygotes, WorkerSpawner& spawner, WorkerPool& pool,
              StartedFrom started_from, GenerationsObserver& observer);

  // A generation serves, its zygote is ready, and no rollout is under way.
  [[nodiscard]] bool idle() const {
    return serving_ != nullptr && serving_->zygote->ready() && !rollout_;
  }
  // While it is idle.
  [[nodiscard]] GenerationsState ToState() const;
  // Of one that has done nothing yet.
  Status Adopt(const GenerationsState& state);

  // None may be under way.
  void StartRollout();
  // To the last generation that served before; one must be kept.
  void StartRollback();
  // After each turn of the loop: ends a rollout whose workers are all in place.
  void Settle();
  // Workers of that generation fail. False: it is not being rolled out (any more).
  bool Fail(int generation, const BootFailure& failure);
  // No new connections are taken any more, wherever the sockets are still open. Quick: and those that
  // the kernel has queued are not answered. Before the workers are told to stop.
  void StopListening(bool quick);
  // For good: zygotes end.
  void Stop();
  // After it was rotated away, before the workers open it anew.
  [[nodiscard]] Status RemakeAccessLog() const;

  [[nodiscard]] const Generation* serving() const { return serving_.get(); }
  [[nodiscard]] bool rolling_out() const { return rollout_ != nullptr; }
  // Null while none is under way.
  [[nodiscard]] const Rollout* rollout() const { return rollout_.get(); }
  // For a rollback, the last one first.
  [[nodiscard]] std::vector<int> kept() const;
  // That new connections reach: of the serving generation, or before there is one of the first.
  [[nodiscard]] const ListenerSet& listeners() const;
  // Of the serving generation, or before there is one of the first.
  [[nodiscard]] const Settings& settings() const;

 private:
  void ZygoteLoadedSettings(Zygote& zygote, const SettingsLoaded& loaded) override;
  void ZygoteBecameReady(Zygote& zygote) override;
  void ZygoteFailed(Zygote& zygote, const BootFailure& failure) override;
  void ZygoteLoadedFiles(const FilesLoaded& loaded) override;
  void ZygoteForked(Zygote& zygote, const Forked& forked) override;

  void RollBackTo(RolloutKind kind);
  void Replaced();
  void Finish();
  // Which of the kept generations may stay.
  void TrimKept(std::size_t count);
  [[nodiscard]] bool MayBeKept(const Generation& generation) const;
  void CancelSettling();
  Status StartZygote(Generation& generation);
  void RestartZygote();
  void RestartZygoteLater();
  Status AcceptSettings(Generation& generation, const SettingsLoaded& loaded);
  [[nodiscard]] Status Apply(const Settings& settings) const;
  void ShutDownListeners();
  void FailRollout(const BootFailure& failure);
  void Discard(std::unique_ptr<Generation> generation, const BootFailure& why);
  [[nodiscard]] Generation* GenerationOf(const Zygote& zygote) const;

  EventLoop& loop_;
  ZygoteFactory& zygotes_;
  WorkerSpawner& spawner_;
  WorkerPool& pool_;
  const StartedFrom started_from_;
  GenerationsObserver& observer_;

  std::unique_ptr<Generation> serving_;           // null until the first rollout is done
  std::unique_ptr<Rollout> rollout_;              // null while none is under way
  std::deque<std::unique_ptr<Generation>> kept_;  // the last one first
  EventLoop::TimerId settle_timer_ = 0;
  std::vector<std::unique_ptr<Generation>> discarded_;  // in this turn: perhaps inside their calls
  std::vector<ListenerSet> closing_;  // when stopped: until they are all shut down
  int last_number_ = 0;
  Backoff zygote_backoff_;
  bool stopped_ = false;
};

// One line and, below it, the application's traceback.
void LogBootFailure(const std::string& what, const BootFailure& failure);

}  // namespace gunid
