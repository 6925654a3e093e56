#include "zygote/zygote.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.h"
#include "gunid/exit_codes.h"
#include "python/app_loader.h"
#include "python/config_file.h"
#include "python/executor_greenlets.h"
#include "python/interpreter.h"
#include "python/monkey_patch.h"
#include "python/preload_report.h"
#include "worker/loaded_files_report.h"
#include "worker/worker.h"
#include "zygote/double_fork.h"

namespace gunid {
namespace {

// gevent's hub, if the application or the configuration file starts it, has its part of the stack
// from that depth on. In the workers it shares the stack with their own frames, which lie where
// this function was called, and must not be in its way.
template <class Function>
[[gnu::noinline]] Status DeeperInTheStack(Function function) {
  constexpr std::size_t kForWorkers = 256 * 1024;  // bytes
  volatile char room[kForWorkers];
  room[0] = 0;
  Status status = function();
  room[kForWorkers - 1] = room[0];
  return status;
}

std::string CurrentDirectory() {
  std::error_code gone;
  return std::filesystem::current_path(gone).string();
}

}  // namespace

int Zygote::Run() {
  Status loaded = DeeperInTheStack([this] { return Load(); });
  if (!loaded) {
    const Error& error = loaded.error();
    static_cast<void>(socket_.Send(EncodeMessage(BootFailure{
        error.exit_code, CutToFit(error.message, kLongestMessage), CutToFit(error.detail)})));
    return error.exit_code;
  }
  if (!socket_.Send(EncodeMessage(ZygoteReady{}))) return exit_code::kOk;
  return ForkOnRequest();
}

Status Zygote::Load() {
  auto message = Receive();
  if (!message) return message.error();
  const auto* request = std::get_if<LoadRequest>(&*message);
  if (request == nullptr) return Error{"the zygote expected a load request"};
  if (Status loaded = LoadSettings(*request); !loaded) return loaded;
  if (Status received = ReceiveListeners(); !received) return received;
  return settings_.preload_app || settings_.check_config ? Preload() : Status();
}

Status Zygote::LoadSettings(const LoadRequest& request) {
  // The configuration file may be changed by all layers but itself, and may need the virtual
  // environment.
  auto known = MergeSettings(request.layers);
  if (!known) return known.error();
  if (Status became = GiveUpPrivileges(*known); !became) return became;
  if (!known->chdir.empty() && chdir(known->chdir.c_str()) != 0)
    return Errno("chdir " + known->chdir);
  if (Status started = InitializePython(known->venv); !started) return started;
  if (Status dumping = DumpStacksOnAbort(STDERR_FILENO); !dumping) return dumping;
  if (Status dumping = DumpStacksOnSignal(SIGRTMIN + kStackSignal, kStackFd); !dumping) {
    return dumping;
  }
  if (Status set = SetSearchPath(CurrentDirectory(), known->pythonpath); !set) return set;

  auto file = LoadConfigFile(known->config);
  if (!file) return file.error();
  std::vector<SettingsLayer> layers = request.layers;
  layers.insert(layers.begin() + 1, file->layer);  // above the environment
  auto merged = MergeSettings(layers);
  if (!merged) return merged.error();
  settings_ = std::move(*merged);
  if (Status became = GiveUpPrivileges(settings_); !became) return became;

  if (settings_.chdir != known->chdir && chdir(settings_.chdir.c_str()) != 0) {
    return Errno("chdir " + settings_.chdir);
  }
  if (settings_.chdir != known->chdir || settings_.pythonpath != known->pythonpath) {
    const auto directory = CurrentDirectory();
    if (Status set = SetSearchPath(directory, settings_.pythonpath); !set) return set;
  }
  if (Status set = SetEnvironment(settings_.raw_env); !set) return set;
  if (settings_.wsgi_app.empty()) {
    return Error{
        "no application: expected MODULE[:CALLABLE] on the command line, or wsgi_app in the "
        "configuration file",
        exit_code::kUsage};
  }
  if (settings_.greenlets()) {
    if (Status patched = PatchForGreenlets(); !patched) return patched;
  }
  std::vector<std::string> warnings = std::move(file->warnings);
  std::ranges::move(GreenletWarnings(settings_), std::back_inserter(warnings));
  return socket_.Send(EncodeMessage(SettingsLoaded{SettingsToJson(settings_), warnings}));
}

// Once, as soon as it is known who the application runs as. Afterwards there is no way back, so what
// the configuration file says must not ask for more.
Status Zygote::GiveUpPrivileges(const Settings& settings) {
  const auto account = FindAccount(settings.user, settings.group, settings.initgroups);
  if (account_) {
    const bool same = account && !*account && settings.initgroups == account_->initgroups;
    if (same) return {};
    return Error{
        "user, group and initgroups belong together: give them all on the command line, or all in "
        "the configuration file"};
  }
  if (!account) return account.error();
  if (!*account) return {};
  if (Status became = BecomeAccount(**account); !became) return became;
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // the change of user has cleared it
  account_ = *account;
  return {};
}

Status Zygote::ReceiveListeners() {
  std::vector<UniqueFd> fds;
  auto message = Receive(&fds);
  if (!message) return message.error();
  const auto* opened = std::get_if<ListenersOpened>(&*message);
  if (opened == nullptr || opened->addresses.size() != fds.size() ||
      opened->outlive_server.size() != fds.size())
    return Error{"the zygote expected its listeners"};
  for (std::size_t i = 0; i < fds.size(); ++i) {
    listeners_.push_back({opened->addresses[i], std::move(fds[i]), opened->outlive_server[i]});
  }
  // Not before: the supervisor has made the log files, which this process may not be able to.
  if (settings_.check_config && account_) return {};  // it makes none
  return OpenLogs();
}

Status Zygote::OpenLogs() {
  if (Status opened = OpenLog(settings_.errorlog, settings_.loglevel); !opened) return opened;
  if (settings_.accesslog.empty()) return {};
  return access_log_.emplace(STDOUT_FILENO).Open(settings_.accesslog);
}

// The application is imported here, once, and its memory is shared by all workers.
Status Zygote::Preload() {
  DisableGarbageCollection();
  PreloadReport report;
  auto application = LoadApp(settings_.wsgi_app);
  if (settings_.reload) LoadedFilesReport(socket_).Send();
  if (!application) return application.error();
  application_ = std::move(*application);
  for (const std::string& line : report.Finish()) spdlog::warn("{}", line);
  FreezeGarbageCollection();
  return {};
}

int Zygote::ForkOnRequest() {
  for (;;) {
    std::vector<UniqueFd> fds;
    auto message = Receive(&fds);
    if (!message) return exit_code::kOk;  // the supervisor is done with this generation, or dead
    const auto* request = std::get_if<ForkRequest>(&*message);
    if (request == nullptr) continue;

    // Without channel and stack file - the limit of open files is reached - there can be no worker.
    const pid_t pid = fds.size() >= 2 ? DoubleFork() : -1;
    if (pid == 0) return BecomeWorker(*request, std::move(fds));
    if (!socket_.Send(EncodeMessage(Forked{request->worker_id, pid}))) return exit_code::kOk;
  }
}

// `fds` are those of a ForkRequest.
int Zygote::BecomeWorker(const ForkRequest& request, std::vector<UniqueFd> fds) {
  socket_.Close();
  MessageSocket channel(std::move(fds[0]));
  // In the place of the zygote's: faulthandler writes to the numbers.
  if (dup3(fds[1].get(), kStackFd, O_CLOEXEC) < 0) return exit_code::kConfig;
  if (fds.size() > 2 && dup2(fds[2].get(), STDERR_FILENO) < 0) return exit_code::kConfig;
  if (settings_.errorlog == "-" && !OpenLog(settings_.errorlog, settings_.loglevel))
    return exit_code::kConfig;
  fds.clear();
  if (settings_.greenlets()) ReviveGreenlets();
  Worker worker({.settings = settings_,
                 .listeners = std::move(listeners_),
                 .handover = std::move(handover_),
                 .slot = SlotWriter(scoreboard_.slot(request.slot)),
                 .access_log = std::move(access_log_),
                 .channel = std::move(channel),
                 .application = std::move(application_)});
  return worker.Run();
}

Result<Message> Zygote::Receive(std::vector<UniqueFd>* fds) {
  auto packet = socket_.Receive();
  if (!packet) return packet.error();
  if (!*packet) return Error{"the zygote's socket must be blocking"};
  if (fds != nullptr) *fds = std::move((*packet)->fds);
  return DecodeMessage((*packet)->bytes);
}

}  // namespace gunid
