// The error log: one line per record, "[time] [pid] [LEVEL] text" as Gunicorn writes it, to
// standard error or to a file.
//
// Records are written by spdlog's default logger (spdlog::info(...)), from any thread. The
// descriptor behind it never changes its number, also when the file is reopened: wsgi.errors writes
// to the same descriptor.
#pragma once

#include <optional>
#include <string>

#include "base/account.h"
#include "base/result.h"

namespace gunid {

// Installs the default logger. `path` is "-" for standard error; `level` is debug, info, warning,
// error or critical; `owner` as in LogFile. May be called again with other values; on failure the log
// stays as it was.
Status OpenLog(const std::string& path, const std::string& level,
               const std::optional<Account>& owner = std::nullopt);

// Opens the file anew after it was rotated away (SIGUSR1). Does nothing for standard error.
Status ReopenLog();

// The log's descriptor: one number for the life of the process, whatever is behind it.
int LogFd();

}  // namespace gunid
