// gunid's command line, and GUNICORN_CMD_ARGS, which is one more command line below it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/settings_loader.h"

namespace gunid {

struct CommandLine {
  std::vector<SettingsLayer> layers;  // environment, GUNICORN_CMD_ARGS, command line: lowest first
  std::optional<std::string>
      print;  // --help or --version: print this on standard output and exit 0
};

// Errors are usage errors (exit code 2): an unknown flag, a missing or bad value. Bad values are
// found here, by merging the layers once without the configuration file; one of the environment is
// a configuration error (1).
Result<CommandLine> ParseCommandLine(int argc, const char* const* argv);

}  // namespace gunid
