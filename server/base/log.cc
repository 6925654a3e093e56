#include "base/log.h"

#include <spdlog/details/null_mutex.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <mutex>

#include "base/log_file.h"

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

LogFile g_log(STDERR_FILENO);

// Once in the life of a process, while it has one thread: spdlog must not be given another default
// logger while other threads use it.
void InstallLogger() {
  auto logger = std::make_shared<spdlog::logger>("gunid", std::make_shared<FdSink>(g_log.fd()));
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<LevelFlag>('*').add_flag<OffsetFlag>('?');
  formatter->set_pattern("[%Y-%m-%d %H:%M:%S %?] [%P] [%*] %v");
  logger->set_formatter(std::move(formatter));
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace

Status OpenLog(const std::string& path, const std::string& level,
               const std::optional<Account>& owner) {
  const bool first = g_log.fd() < 0;
  if (Status opened = g_log.Open(path, owner); !opened) return opened;
  if (first) InstallLogger();
  spdlog::default_logger_raw()->set_level(level == "warning" ? spdlog::level::warn
                                                             : spdlog::level::from_str(level));
  return {};
}

Status ReopenLog() {
  return g_log.Reopen();
}

int LogFd() {
  return g_log.fd() >= 0 ? g_log.fd() : STDERR_FILENO;
}

}  // namespace gunid
