// Runs gunicorn.conf.py and collects its settings. In the zygote, GIL held; the supervisor never
// runs it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/settings_loader.h"

namespace gunid {

struct ConfigFile {
  SettingsLayer layer;                // origin: the file's path as given
  std::vector<std::string> warnings;  // settings and hooks of Gunicorn that gunid does not support
};

// `path`: PATH, file:PATH or python:MODULE; "" for ./gunicorn.conf.py, which may be missing (then
// an empty layer). Unknown names are ignored, as by Gunicorn. An error (missing file, exception, a
// value of a type no setting has) has exit code kConfig, and the traceback as detail.
Result<ConfigFile> LoadConfigFile(const std::string& path);

}  // namespace gunid
