#include "supervisor/upgrade.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/child_process.h"
#include "gunid/version.h"
#include "ipc/spawn_protocol.h"

namespace gunid {
namespace {

using E = UpgradeEvent;
using P = UpgradePhase;

constexpr auto kRehearsalTime = std::chrono::seconds(10);
constexpr char kStateVariable[] = "GUNID_STATE_FD";
constexpr std::string_view kPassed = "gunid can take over: version ";
constexpr std::size_t kLongestOutput = 16 * 1024;

UniqueFd MemoryFile(const char* name) {
  return UniqueFd(memfd_create(name, MFD_CLOEXEC));
}

std::string ReadFile(int fd, std::size_t most) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return "";
  std::string text(std::min(static_cast<std::size_t>(info.st_size), most), '\0');
  std::size_t size = 0;
  // The offset belongs to the writer.
  for (ssize_t read = 0; size < text.size(); size += static_cast<std::size_t>(read)) {
    read = pread(fd, text.data() + size, text.size() - size, static_cast<off_t>(size));
    if (read <= 0) break;
  }
  text.resize(size);
  return text;
}

Result<UniqueFd> WriteState(const ServerState& state) {
  UniqueFd fd = MemoryFile("gunid state");
  if (!fd) return Errno("memfd_create");
  const std::string json = EncodeServerState(state);
  for (std::size_t size = 0; size < json.size();) {
    const ssize_t written = write(fd.get(), json.data() + size, json.size() - size);
    if (written < 0) return Errno("write the server's state");
    size += static_cast<std::size_t>(written);
  }
  return fd;
}

std::string StateAssignment(int fd) {
  return std::string(kStateVariable) + "=" + std::to_string(fd);
}

bool CloseOnExec(int fd, bool close) {
  return fcntl(fd, F_SETFD, close ? FD_CLOEXEC : 0) == 0;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

UpgradePhase NextUpgradePhase(UpgradePhase phase, UpgradeEvent event) {
  switch (event) {
    case E::kAsked:
      return phase == P::kNone ? P::kRehearsing : phase;
    case E::kPassed:
      return phase == P::kRehearsing || phase == P::kReturning ? P::kLeaving : phase;
    case E::kTakenOver:
      return phase == P::kNone ? P::kProving : phase;
    case E::kFailed:
      return phase == P::kProving ? P::kReturning : phase;
    case E::kRefused:
    case E::kServes:
      break;
  }
  return P::kNone;
}

void Rehearsal::Start(const NextProgram& program, const ServerState& state,
                      std::function<void(const Outcome&)> done) {
  path_ = program.path;
  done_ = std::move(done);
  too_slow_ = false;
  output_ = MemoryFile("gunid rehearsal");
  errors_ = MemoryFile("gunid rehearsal");
  const auto refuse_later = [this](const std::string& why) {
    timer_ = loop_.RunAfter(Nanoseconds(0), [this, why] { Refuse(why, ""); });
  };
  auto file = WriteState(state);
  if (!file) return refuse_later(file.error().message);
  ChildProcess child{.program = program.path,
                     .arguments = program.arguments,
                     .directory = "",
                     .fds = {{output_.get(), STDOUT_FILENO}, {errors_.get(), STDERR_FILENO}},
                     .environment = program.environment};
  child.arguments.insert(child.arguments.begin() + 1, kRehearseOption);
  child.environment.push_back(StateAssignment(file->get()));
  child.fds.emplace_back(file->get(), file->get());
  for (const int fd : DescriptorsOf(state)) child.fds.emplace_back(fd, fd);
  // As it would be after exec.
  pthread_sigmask(SIG_SETMASK, nullptr, &child.signal_mask);
  const auto pid = Spawn(child);
  if (!pid) return refuse_later(pid.error().message);
  pid_ = *pid;
  reaper_.Watch(pid_, [this](int status) { Ended(status); });
  timer_ = loop_.RunAfter(kRehearsalTime, [this] {
    too_slow_ = true;
    kill(-pid_, SIGKILL);  // it leads its process group
  });
}

void Rehearsal::Cancel() {
  loop_.Cancel(std::exchange(timer_, 0));
  done_ = nullptr;
  if (pid_ == 0) return;
  reaper_.Forget(pid_);
  kill(-std::exchange(pid_, 0), SIGKILL);
}

void Rehearsal::Pass() {
  std::printf("%s%s\n", kPassed.data(), GUNID_VERSION);
  std::fflush(stdout);
}

void Rehearsal::Ended(int status) {
  pid_ = 0;
  loop_.Cancel(std::exchange(timer_, 0));
  const std::string output = ReadFile(output_.get(), kLongestOutput);
  const std::string errors = CutToFit(ReadFile(errors_.get(), kLongestOutput), kLongestOutput);
  if (too_slow_) return Refuse("it did not answer within 10 s", errors);
  if (status != 0) return Refuse("it " + DescribeExit(status), errors);
  if (!output.starts_with(kPassed)) return Refuse("it is no gunid that can take over", errors);
  const std::string version = output.substr(kPassed.size(), output.find('\n') - kPassed.size());
  std::exchange(done_, nullptr)({version, {}});
}

void Rehearsal::Refuse(const std::string& why, const std::string& detail) {
  timer_ = 0;
  std::exchange(done_, nullptr)(
      {"", {"upgrade_failed", "the program " + path_ + " cannot take over: " + why, detail}});
}

Error Become(const NextProgram& program, const ServerState& state) {
  const auto file = WriteState(state);
  if (!file) return file.error();
  std::vector<int> fds = DescriptorsOf(state);
  fds.push_back(file->get());
  for (const int fd : fds) CloseOnExec(fd, false);
  std::vector<std::string> arguments = program.arguments;
  std::vector<std::string> added = program.environment;
  added.push_back(StateAssignment(file->get()));
  std::vector<std::string> environment = EnvironmentWith(added);
  execve(program.path.c_str(), Pointers(arguments).data(), Pointers(environment).data());
  const Error error = Errno("cannot run " + program.path);
  for (const int fd : fds) CloseOnExec(fd, true);
  return error;
}

Result<std::optional<ServerState>> TakeServerState() {
  const char* const value = std::getenv(kStateVariable);
  if (value == nullptr) return std::optional<ServerState>();
  const std::string_view text(value);
  int number = -1;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), number);
  const bool is_number = error == std::errc() && end == text.end() && number > STDERR_FILENO;
  const UniqueFd file(is_number ? number : -1);
  const std::string json = ReadFile(file.get(), SIZE_MAX);
  unsetenv(kStateVariable);
  if (!is_number || json.empty()) {
    return Error{std::string(kStateVariable) +
                 " is set by a gunid that is upgraded, and by nobody else"};
  }
  auto state = DecodeServerState(json);
  if (!state) return state.error();
  for (const int fd : DescriptorsOf(*state)) {
    if (!CloseOnExec(fd, true))
      return Errno("descriptor " + std::to_string(fd) + " of the running program");
  }
  return std::optional(std::move(*state));
}

}  // namespace gunid
