// One row per setting: the command line, the configuration file, the spawn protocol and the
// documentation are loops over these rows.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace gunid {

// When a changed value takes effect.
enum class Applies { kReload, kRestart };

struct SettingRow {
  using Field = std::variant<std::int64_t Settings::*, double Settings::*, bool Settings::*,
                             std::string Settings::*, std::vector<std::string> Settings::*,
                             std::map<std::string, std::string> Settings::*>;

  std::string_view name;  // as in gunicorn.conf.py
  // As CLI11 takes them: "-w,--workers"; "!--no-sendfile" clears a bool; a name without dashes is
  // the positional argument; "" for a setting of the configuration file only.
  std::string_view flags;
  Field field;
  double min = 0;                 // of numbers; of lists: the fewest entries
  double max = 0;                 // of numbers
  int base = 10;                  // in which a whole number is written as text
  bool bytes = false;             // of whole numbers: as text, K, M or G (of 1024) may follow
  std::string_view choices = {};  // of strings: "a|b|c", in lower case; "" for any
  // An unknown choice is something that this program does not have, rather than bad usage.
  bool choices_are_parts = false;
  // Of strings with choices: what the flag without a value means, and True in a configuration file;
  // False there means the first choice. "" if the flag needs a value.
  std::string_view bare_value = {};
  bool comma_separated = false;  // of strings: a list of strings is joined
  // Of strings: what else is asked of a value. The error goes on after it and a colon.
  Status (*check)(const std::string& value) = nullptr;
  Applies applies = Applies::kReload;
  std::string_view value_name = {};  // placeholder in --help
  std::string_view group;            // heading in --help
  std::string_view help;
};

std::span<const SettingRow> SettingRows();

// The row of that name (Gunicorn's, case-sensitive), or nullptr.
const SettingRow* FindSetting(std::string_view name);

// Names of Gunicorn settings and server hooks that gunid knows of but does not support: a
// configuration file that sets one gets a warning.
bool IsUnsupportedGunicornSetting(std::string_view name);

}  // namespace gunid
