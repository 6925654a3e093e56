#include "base/log.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mutex>

#include "base/same_file.h"
#include "base/unique_fd.h"

namespace gunid {
namespace {

// Writes each record with one write(2), so that the lines of many processes do not mix.
class FdSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FdSink(int fd) : fd_(fd) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    // A log that cannot be written must not stop the server.
    [[maybe_unused]] const ssize_t written = ::write(fd_, line.data(), line.size());
  }
  void flush_() override {}

  int fd_;
};

// Gunicorn's level names are Python's, in capitals.
class LevelFlag : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm& /*time*/,
              spdlog::memory_buf_t& destination) override {
    static constexpr std::string_view kNames[] = {"DEBUG", "DEBUG",    "INFO", "WARNING",
                                                  "ERROR", "CRITICAL", ""};
    const std::string_view name = kNames[message.level];
    destination.append(name.data(), name.data() + name.size());
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<LevelFlag>();
  }
};

// "+0000", as Python's %z; spdlog's own has a colon.
class OffsetFlag : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& /*message*/, const std::tm& time,
              spdlog::memory_buf_t& destination) override {
    char text[8];
    const std::size_t size = strftime(text, sizeof text, "%z", &time);
    destination.append(text, text + size);
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<OffsetFlag>();
  }
};

std::string g_path = "-";
std::optional<Account> g_owner;
UniqueFd g_log;  // what is behind it changes, its number does not

// The owner may write to a directory of the path, and have put a link there: another's file, or one
// in another's directory, must not become his by that. Such a log stays root's: workers write to it as
// it was opened, and cannot make a new one when it is rotated.
void GiveToOwner(const UniqueFd& file, const std::string& path) {
  open_how how{.flags = O_PATH | O_CLOEXEC, .mode = 0, .resolve = RESOLVE_NO_SYMLINKS};
  const UniqueFd unlinked(
      static_cast<int>(syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
  struct stat opened {};
  struct stat named {};
  if (fstat(file.get(), &opened) != 0 || fstat(unlinked.get(), &named) != 0) return;
  const bool plain = S_ISREG(opened.st_mode) && opened.st_nlink == 1 && IsSameFile(opened, named);
  if (!plain) return;
  [[maybe_unused]] const int failed = fchown(file.get(), g_owner->uid, g_owner->gid);
}

Status PointLogAt(const std::string& path) {
  if (path == "-") {
    return dup3(STDERR_FILENO, g_log.get(), O_CLOEXEC) < 0 ? Errno("cannot log to standard error")
                                                           : Status();
  }
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
  if (!file || dup3(file.get(), g_log.get(), O_CLOEXEC) < 0) {
    return Errno("cannot open log file " + path);
  }
  if (g_owner) GiveToOwner(file, path);
  return {};
}

// Once in the life of a process, while it has one thread: spdlog must not be given another default
// logger while other threads use it.
void InstallLogger() {
  g_log.Reset(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  auto logger = std::make_shared<spdlog::logger>("gunid", std::make_shared<FdSink>(g_log.get()));
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<LevelFlag>('*').add_flag<OffsetFlag>('?');
  formatter->set_pattern("[%Y-%m-%d %H:%M:%S %?] [%P] [%*] %v");
  logger->set_formatter(std::move(formatter));
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace

Status OpenLog(const std::string& path, const std::string& level) {
  if (!g_log) InstallLogger();
  if (Status opened = PointLogAt(path); !opened) return opened;
  g_path = path;
  spdlog::default_logger_raw()->set_level(level == "warning" ? spdlog::level::warn
                                                             : spdlog::level::from_str(level));
  return {};
}

void SetLogOwner(const std::optional<Account>& owner) {
  g_owner = owner;
}

Status ReopenLog() {
  return g_path == "-" ? Status() : PointLogAt(g_path);
}

int LogFd() {
  return g_log ? g_log.get() : STDERR_FILENO;
}

}  // namespace gunid
