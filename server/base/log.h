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
// error or critical. May be called again with other values; on failure the log stays as it was.
Status OpenLog(const std::string& path, const std::string& level);

// Who has to be able to open the file, too: a file that is opened from now on is given to that
// account. For a process that runs as root.
void SetLogOwner(const std::optional<Account>& owner);

// Opens the file anew after it was rotated away (SIGUSR1). Does nothing for standard error.
Status ReopenLog();

// The log's descriptor: one number for the life of the process, whatever is behind it.
int LogFd();

}  // namespace gunid
