// Merges layers of settings: defaults < environment < configuration file < GUNICORN_CMD_ARGS <
// command line.
//
// The supervisor reads the layers that need no Python, the zygote adds that of the configuration
// file and merges. Values are JSON: strings as typed on a command line or of the right type, as a
// configuration file gives them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"
#include "config/settings_table.h"

namespace gunid {

// Origins that mean something: the first two make a bad value a usage error, the third has
// environment variables' names.
inline constexpr std::string_view kCommandLineOrigin = "command line";
inline constexpr std::string_view kCommandArgsOrigin = "GUNICORN_CMD_ARGS";
inline constexpr std::string_view kEnvironmentOrigin = "environment";

struct SettingsLayer {
  std::string origin;  // for messages: "command line", "GUNICORN_CMD_ARGS", "gunicorn.conf.py"
  std::string values;  // a JSON object: name -> value; null is as if it were not given
};

// WEB_CONCURRENCY (workers), PORT (bind 0.0.0.0:PORT), SENDFILE, VIRTUAL_ENV (venv) and
// FORWARDED_ALLOW_IPS, as they are: MergeSettings knows what they set and names them if they are
// wrong. Empty ones are left out, except for the last: it says that no proxy is trusted.
SettingsLayer EnvironmentLayer();

// Applies the layers in order. An error names the setting, the value and the origin: "invalid value
// 'x' for workers (command line): expected a whole number of 1 to 512". Unknown names are ignored.
Result<Settings> MergeSettings(const std::vector<SettingsLayer>& layers);

// Whether the setting takes that text for a value.
bool IsValueOf(const SettingRow& row, const std::string& text);

// All settings as one JSON object and back, for the spawn protocol.
std::string SettingsToJson(const Settings& settings);
Result<Settings> SettingsFromJson(const std::string& json);

// Names of the settings whose values differ and that only take effect at a restart.
std::vector<std::string> ChangedRestartSettings(const Settings& before, const Settings& after);

}  // namespace gunid
