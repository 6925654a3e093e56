// The access log: a line for each request that was answered, in the words of access_log_format.
//
// One in a worker, used by the thread that leads. Lines are collected and written with one write(2)
// at the end of a turn of the engine, or when they are as many as a pipe takes in one piece: what
// several workers write does not mix. Requests never wait for the log to become writable, but where
// write(2) itself blocks; what it does not take is dropped and counted.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log_file.h"
#include "base/result.h"
#include "config/access_log_format.h"
#include "http/request_head.h"

namespace gunid {

// One for each name in the format; nullopt: the request has none of that name.
using LoggedValues = std::vector<std::optional<std::string>>;

// What there is to tell of a request. All is borrowed for the call.
struct AccessEntry {
  const RequestHead& request;  // as much of it as is known
  std::string_view client;     // its address; "" for a Unix socket
  std::optional<std::uint64_t> status;
  std::optional<std::uint64_t> body_bytes;
  std::optional<Nanoseconds> duration;  // since all of the request was there
  std::span<const std::optional<std::string>> response_fields;
  std::span<const std::optional<std::string>> variables;
};

class AccessLog {
 public:
  AccessLog(AccessLogFormat format, LogFile file);

  [[nodiscard]] const AccessLogFormat& format() const { return format_; }

  void Add(const AccessEntry& entry);
  // Before the thread waits, and before the process ends.
  void Flush() {
    if (!lines_.empty()) WriteLines();
  }
  // After the file was rotated away; what came before goes to the old one.
  Status Reopen();

 private:
  void Append(const AccessLogPiece& piece, const AccessEntry& entry);
  void AppendTime();
  void WriteLines();
  void Write(std::string_view lines);
  void Drop(std::string_view lines);

  const AccessLogFormat format_;
  LogFile file_;
  const std::string process_;
  std::string lines_;          // not written yet
  std::time_t time_ = -1;      // that time_text_ is of
  std::string time_text_;      // formatted anew when the second changes
  std::uint64_t dropped_ = 0;  // lines, since the log could be written the last time
  bool torn_ = false;          // the last line in the file has no end
};

// "[18/Aug/2026:12:00:00 +0200]", in local time.
std::string FormatLogTime(std::time_t seconds);

}  // namespace gunid
