#include "config/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "config/settings_table.h"
#include "config/shell_words.h"
#include "gunid/exit_codes.h"
#include "gunid/version.h"

namespace gunid {
namespace {

using Json = nlohmann::json;

class Formatter : public CLI::Formatter {
 public:
  Formatter() {
    column_width(40);
    label("Positionals", "Arguments");
  }
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    std::string help = CLI::Formatter::make_help(app, std::move(name), mode);
    for (std::size_t at = 0; (at = help.find("\n\n\n", at)) != std::string::npos;)
      help.erase(at, 1);
    return help;
  }
  std::string make_usage(const CLI::App* /*app*/, std::string /*name*/) const override {
    return "Usage: gunid [OPTIONS] MODULE[:CALLABLE]\n";
  }
  // Without the value that CLI11 adds to a flag that clears, as in "--no-sendfile{false}".
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    const std::string name = CLI::Formatter::make_option_name(option, is_positional);
    return name.substr(0, name.find('{'));
  }
};

std::string DefaultText(const SettingRow& /*row*/, bool /*value*/) {
  return {};
}

std::string DefaultText(const SettingRow& row, std::int64_t value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, std::end(buffer), value, row.base).ptr};
}

std::string DefaultText(const SettingRow& /*row*/, double value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, std::end(buffer), value).ptr};
}

std::string DefaultText(const SettingRow& /*row*/, const std::string& value) {
  return value;
}

std::string DefaultText(const SettingRow& /*row*/, const std::vector<std::string>& value) {
  return value.empty() ? std::string() : value.front();
}

std::string DefaultText(const SettingRow& /*row*/,
                        const std::map<std::string, std::string>& /*value*/) {
  return {};
}

std::string Description(const SettingRow& row) {
  const Settings defaults;
  const std::string value =
      std::visit([&](auto field) { return DefaultText(row, defaults.*field); }, row.field);
  return std::string(row.help) + (value.empty() ? "" : " [" + value + "]");
}

// One command line as CLI11 sees it. Values stay text here: settings_loader converts and judges
// them all.
class Parser {
 public:
  Parser() : app_("A pre-fork WSGI application server.", "gunid") {
    app_.formatter(std::make_shared<Formatter>());
    app_.set_help_flag("-h,--help", "Show this help and exit");
    app_.set_version_flag("-v,--version", std::string("gunid ") + GUNID_VERSION,
                          "Show the version and exit");
    app_.allow_extras();  // Parse() names them
    for (const SettingRow& row : SettingRows()) options_.push_back(AddOption(row));
  }

  // The settings that were given, or the text of --help or --version in `print`.
  Result<Json> Parse(const std::vector<std::string>& words, std::optional<std::string>& print) {
    std::vector<std::string> reversed = SplitEmptyValues(AddBareValues(words));
    std::ranges::reverse(reversed);
    try {
      app_.parse(std::move(reversed));
    } catch (const CLI::CallForHelp&) {
      print = app_.help();
      return Json::object();
    } catch (const CLI::CallForVersion& version) {
      print = std::string(version.what()) + "\n";
      return Json::object();
    } catch (const CLI::ArgumentMismatch&) {  // the words ran out, so the last one is the option
      return NeedsValue(words.back());
    } catch (const CLI::Error& error) {
      return Error{error.what()};
    }
    return Values();
  }

 private:
  // nullptr for a setting without flags.
  CLI::Option* AddOption(const SettingRow& row) {
    if (row.flags.empty()) return nullptr;
    const std::string flags(row.flags);
    const std::string description = Description(row);
    CLI::Option* option = nullptr;
    if (std::holds_alternative<bool Settings::*>(row.field)) {
      option = app_.add_flag(flags, description);
    } else {
      option = app_.add_option(flags, CLI::callback_t(), description)
                   ->type_name(std::string(row.value_name));
    }
    return option->group(std::string(row.group))
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }

  // The value that a flag stands for if the next word is none of its values: that may be the
  // application.
  static std::vector<std::string> AddBareValues(const std::vector<std::string>& words) {
    std::vector<std::string> complete;
    for (auto word = words.begin(); word != words.end(); ++word) {
      complete.push_back(*word);
      const auto row = std::ranges::find_if(SettingRows(), [&](const SettingRow& candidate) {
        return !candidate.bare_value.empty() && candidate.flags == *word;
      });
      if (row == SettingRows().end()) continue;
      const auto next = word + 1;
      if (next == words.end() || !IsValueOf(*row, *next)) complete.emplace_back(row->bare_value);
    }
    return complete;
  }

  // CLI11 takes the next word for the value of "--name=".
  static std::vector<std::string> SplitEmptyValues(const std::vector<std::string>& words) {
    std::vector<std::string> split;
    for (const std::string& word : words) {
      if (word.starts_with("--") && word.find('=') == word.size() - 1) {
        split.push_back(word.substr(0, word.size() - 1));
        split.emplace_back();
      } else {
        split.push_back(word);
      }
    }
    return split;
  }

  static Error NeedsValue(const std::string& option) {
    return Error{"option " + option + " needs a value"};
  }

  // CLI11 takes any word for a value, an option too: "-c -w 4".
  bool IsOption(const std::string& word) const {
    return word.starts_with('-') &&
           app_.get_option_no_throw(word.substr(0, word.find('='))) != nullptr;
  }

  Result<Json> Values() const {
    Json values = Json::object();
    for (std::size_t i = 0; i < options_.size(); ++i) {
      if (options_[i] == nullptr) continue;
      const CLI::results_t& given = options_[i]->results();
      if (given.empty()) continue;
      if (std::ranges::any_of(given, [this](const std::string& word) { return IsOption(word); })) {
        return NeedsValue(options_[i]->get_name());
      }
      const SettingRow& row = SettingRows()[i];
      const bool list = std::holds_alternative<std::vector<std::string> Settings::*>(row.field);
      values[std::string(row.name)] = list ? Json(given) : Json(given.back());
    }
    for (const std::string& word : app_.remaining()) {
      if (word == "--") continue;
      if (word.starts_with('-')) return Error{"unknown option " + word.substr(0, word.find('='))};
      return Error{"unexpected argument '" + word + "'"};
    }
    return values;
  }

  CLI::App app_;
  std::vector<CLI::Option*> options_;  // in the order of SettingRows(); nullptr without flags
};

Error UsageError(std::string message, std::string_view origin) {
  if (origin != kCommandLineOrigin) message += " (" + std::string(origin) + ")";
  return Error{std::move(message), exit_code::kUsage};
}

Status AddLayer(std::string_view origin, const std::vector<std::string>& words,
                CommandLine& command_line) {
  const Result<Json> values = Parser().Parse(words, command_line.print);
  if (!values) return UsageError(values.error().message, origin);
  try {
    command_line.layers.push_back({std::string(origin), values->dump()});
  } catch (const Json::exception&) {
    return UsageError("the command line is not valid UTF-8", origin);
  }
  return {};
}

}  // namespace

Result<CommandLine> ParseCommandLine(int argc, const char* const* argv) {
  CommandLine command_line;
  command_line.layers.push_back(EnvironmentLayer());

  const char* const line = std::getenv("GUNICORN_CMD_ARGS");
  const auto words = SplitShellWords(line != nullptr ? line : "");
  if (!words) return UsageError(words.error().message, kCommandArgsOrigin);
  if (const Status added = AddLayer(kCommandArgsOrigin, *words, command_line); !added)
    return added.error();

  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  if (const Status added = AddLayer(kCommandLineOrigin, arguments, command_line); !added)
    return added.error();
  if (command_line.print) return command_line;

  if (const auto settings = MergeSettings(command_line.layers); !settings) return settings.error();
  return command_line;
}

}  // namespace gunid
