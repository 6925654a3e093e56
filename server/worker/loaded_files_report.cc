#include "worker/loaded_files_report.h"

#include <chrono>

#include "ipc/spawn_protocol.h"
#include "python/gil.h"

namespace gunid {
namespace {

constexpr std::chrono::seconds kPeriod(1);

}  // namespace

LoadedFilesReport::~LoadedFilesReport() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_wanted_.notify_one();
  thread_.reset();
}

void LoadedFilesReport::Send() {
  // What cannot be sent is lost: the supervisor is gone then.
  for (const FilesLoaded& packet : SplitIntoPackets(loaded_.TakeNew())) {
    static_cast<void>(channel_.Send(EncodeMessage(packet)));
  }
}

void LoadedFilesReport::Start() {
  thread_.emplace([this] { Run(); });
}

void LoadedFilesReport::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_wanted_.wait_for(lock, kPeriod, [this] { return stopping_; })) {
    lock.unlock();
    {
      const GilHeld gil;
      Send();
    }
    lock.lock();
  }
}

}  // namespace gunid
