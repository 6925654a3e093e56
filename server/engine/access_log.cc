#include "engine/access_log.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdio>
#include <utility>

#include "http/basic_auth.h"
#include "http/http_date.h"
#include "http/request_target.h"

namespace gunid {
namespace {

using Atom = AccessLogAtom;

constexpr std::size_t kMostAtOnce = PIPE_BUF;
constexpr std::string_view kNothing = "-";

bool IsPlain(unsigned char byte) {
  return byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\';
}

// Without an end before the last byte: the compiler looks at many bytes at a time.
bool IsPlain(std::string_view text) {
  bool plain = true;
  for (const char byte : text) plain &= IsPlain(static_cast<unsigned char>(byte));
  return plain;
}

// What clients send must not look like another field or line, nor speak to a terminal.
void AppendEscaped(std::string_view text, std::string& out) {
  if (IsPlain(text)) {
    out += text;
    return;
  }
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (IsPlain(byte)) {
      out += c;
    } else if (byte == '"' || byte == '\\') {
      (out += '\\') += c;
    } else {
      ((out += "\\x") += kDigits[byte >> 4]) += kDigits[byte & 0xF];
    }
  }
}

void AppendField(const RequestHead& request, std::string_view name, std::string& out) {
  AppendEscaped(request.Find(name).value_or(kNothing), out);
}

void AppendNumber(std::uint64_t number, std::string& out) {
  std::array<char, 20> digits;
  const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

void AppendNumber(const std::optional<std::uint64_t>& number, std::string& out) {
  if (number) {
    AppendNumber(*number, out);
  } else {
    out += kNothing;
  }
}

// In units of that many nanoseconds.
void AppendDuration(std::optional<Nanoseconds> duration, std::int64_t unit, std::string& out) {
  if (duration) {
    AppendNumber(static_cast<std::uint64_t>(duration->count() / unit), out);
  } else {
    out += kNothing;
  }
}

void AppendSeconds(std::optional<Nanoseconds> duration, std::string& out) {
  if (duration) {
    const auto microseconds = duration->count() / 1000;
    out += fmt::format("{}.{:06}", microseconds / 1'000'000, microseconds % 1'000'000);
  } else {
    out += kNothing;
  }
}

void AppendRequestLine(const RequestHead& request, std::string& out) {
  if (request.target.empty()) {
    out += kNothing;
    return;
  }
  AppendEscaped(request.method, out);
  out += ' ';
  AppendEscaped(request.target, out);
  out += request.minor_version == 0 ? " HTTP/1.0" : " HTTP/1.1";
}

void AppendPath(const RequestHead& request, std::string& out) {
  const auto target = SplitTarget(request.method, request.target);
  AppendEscaped(target ? PercentDecode(target->path) : std::string(kNothing), out);
}

void AppendQuery(const RequestHead& request, std::string& out) {
  const auto target = SplitTarget(request.method, request.target);
  AppendEscaped(target ? target->query : kNothing, out);
}

void AppendUser(const RequestHead& request, std::string& out) {
  const auto authorization = request.Find("Authorization");
  const auto user = authorization ? BasicAuthUser(*authorization) : std::nullopt;
  AppendEscaped(user && !user->empty() ? std::string_view(*user) : kNothing, out);
}

// Of an abandoned request nothing is kept.
void AppendKept(std::span<const std::optional<std::string>> values, std::size_t index,
                std::string& out) {
  const bool kept = index < values.size() && values[index];
  AppendEscaped(kept ? std::string_view(*values[index]) : kNothing, out);
}

bool IsPipe(int fd) {
  struct stat file {};
  return fstat(fd, &file) == 0 && S_ISFIFO(file.st_mode);
}

}  // namespace

std::string FormatLogTime(std::time_t seconds) {
  std::tm local{};
  localtime_r(&seconds, &local);
  const long minutes = std::abs(local.tm_gmtoff) / 60;
  std::array<char, 64> text;
  const int length = std::snprintf(
      text.data(), text.size(), "[%02d/%s/%04d:%02d:%02d:%02d %c%02ld%02ld]", local.tm_mday,
      kMonthNames[local.tm_mon], local.tm_year + 1900, local.tm_hour, local.tm_min, local.tm_sec,
      local.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60);
  return std::string(text.data(), static_cast<std::size_t>(length));
}

AccessLog::AccessLog(AccessLogFormat format, LogFile file)
    : format_(std::move(format)), file_(std::move(file)), process_(fmt::format("<{}>", getpid())) {
  lines_.reserve(2 * kMostAtOnce);
}

void AccessLog::Add(const AccessEntry& entry) {
  const std::size_t before = lines_.size();
  for (const AccessLogPiece& piece : format_.pieces) Append(piece, entry);
  lines_ += '\n';
  if (lines_.size() <= kMostAtOnce) return;
  if (before > 0) Write(std::string_view(lines_).substr(0, before));
  lines_.erase(0, before);
  if (lines_.size() <= kMostAtOnce) return;
  // Alone it is longer than a pipe takes in one piece.
  if (IsPipe(file_.fd())) lines_.replace(kMostAtOnce - 1, std::string::npos, "\n");
  WriteLines();
}

void AccessLog::Append(const AccessLogPiece& piece, const AccessEntry& entry) {
  const RequestHead& request = entry.request;
  const bool known = !request.target.empty();
  switch (piece.atom) {
    case Atom::kLiteral:
      lines_ += piece.text;
      break;
    case Atom::kClient:
      lines_ += entry.client.empty() ? kNothing : entry.client;
      break;
    case Atom::kUser:
      return AppendUser(request, lines_);
    case Atom::kTime:
      return AppendTime();
    case Atom::kRequestLine:
      return AppendRequestLine(request, lines_);
    case Atom::kMethod:
      return AppendEscaped(request.method.empty() ? kNothing : request.method, lines_);
    case Atom::kPath:
      return AppendPath(request, lines_);
    case Atom::kQuery:
      return AppendQuery(request, lines_);
    case Atom::kProtocol:
      lines_ += !known ? kNothing : request.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1";
      break;
    case Atom::kStatus:
      return AppendNumber(entry.status, lines_);
    case Atom::kBodyBytes:
      return AppendNumber(entry.body_bytes, lines_);
    case Atom::kReferer:
      return AppendField(request, "Referer", lines_);
    case Atom::kUserAgent:
      return AppendField(request, "User-Agent", lines_);
    case Atom::kSeconds:
      return AppendDuration(entry.duration, 1'000'000'000, lines_);
    case Atom::kMilliseconds:
      return AppendDuration(entry.duration, 1'000'000, lines_);
    case Atom::kMicroseconds:
      return AppendDuration(entry.duration, 1'000, lines_);
    case Atom::kDecimal:
      return AppendSeconds(entry.duration, lines_);
    case Atom::kProcess:
      lines_ += process_;
      break;
    case Atom::kRequestField:
      return AppendField(request, piece.text, lines_);
    case Atom::kResponseField:
      return AppendKept(entry.response_fields, piece.index, lines_);
    case Atom::kVariable:
      return AppendKept(entry.variables, piece.index, lines_);
  }
}

void AccessLog::AppendTime() {
  const std::time_t now = std::time(nullptr);
  if (now != time_) {
    time_text_ = FormatLogTime(now);
    time_ = now;
  }
  lines_ += time_text_;
}

Status AccessLog::Reopen() {
  Flush();
  torn_ = false;
  return file_.Reopen();
}

void AccessLog::WriteLines() {
  Write(lines_);
  lines_.clear();
}

void AccessLog::Write(std::string_view lines) {
  if (torn_ && ::write(file_.fd(), "\n", 1) == 1) torn_ = false;
  while (!lines.empty()) {
    const ssize_t written = ::write(file_.fd(), lines.data(), lines.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return Drop(lines);
    torn_ = lines[static_cast<std::size_t>(written) - 1] != '\n';
    lines.remove_prefix(static_cast<std::size_t>(written));
  }
  if (dropped_ == 0) return;
  spdlog::warn("The access log can be written again; {} lines are lost", dropped_);
  dropped_ = 0;
}

void AccessLog::Drop(std::string_view lines) {
  if (dropped_ == 0) {
    spdlog::error("{}; requests are not logged until that works again",
                  Errno("write to the access log").message);
  }
  dropped_ += static_cast<std::uint64_t>(std::ranges::count(lines, '\n'));
}

}  // namespace gunid
