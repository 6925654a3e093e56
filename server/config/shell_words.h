// Splits a line into words as a POSIX shell does: blanks, quotes and backslashes, and nothing else
// - no variables, globs or comments. For GUNICORN_CMD_ARGS.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace gunid {

Result<std::vector<std::string>> SplitShellWords(std::string_view line);

}  // namespace gunid
