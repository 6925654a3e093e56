#include "config/settings_loader.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "gunid/exit_codes.h"

namespace gunid {
namespace {

using Json = nlohmann::json;

struct EnvironmentVariable {
  const char* name;
  std::string_view setting;
  bool may_be_empty = false;  // otherwise as if it were not set
};

constexpr EnvironmentVariable kEnvironment[] = {
    {"WEB_CONCURRENCY", "workers"},
    {"PORT", "bind"},
    {"SENDFILE", "sendfile"},
    {"VIRTUAL_ENV", "venv"},
    {"FORWARDED_ALLOW_IPS", "forwarded_allow_ips", /*may_be_empty=*/true}};

constexpr std::string_view kTrue[] = {"true", "yes", "y", "on", "1"};
constexpr std::string_view kFalse[] = {"false", "no", "n", "off", "0"};

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string ToLower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::vector<std::string> Choices(std::string_view choices) {
  std::vector<std::string> names;
  while (!choices.empty()) {
    const std::size_t size = std::min(choices.find('|'), choices.size());
    names.emplace_back(choices.substr(0, size));
    choices.remove_prefix(std::min(size + 1, choices.size()));
  }
  return names;
}

// The same in every locale, and nothing may follow the number.
template <class Number, class... Format>
std::optional<Number> ParseNumber(std::string_view text, Format... format) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, format...);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

std::optional<std::int64_t> ParseWhole(std::string_view text, int base) {
  if (base == 8 && text.starts_with("0o")) text.remove_prefix(2);
  return ParseNumber<std::int64_t>(text, base);
}

// "512M"
std::optional<std::int64_t> ParseBytes(std::string_view text) {
  constexpr std::string_view kUnits = "KMG";
  const auto unit = text.empty() ? std::string_view::npos
                                 : kUnits.find(static_cast<char>(std::toupper(text.back())));
  if (unit == std::string_view::npos) return ParseWhole(text, 10);
  text.remove_suffix(1);
  const auto number = ParseWhole(text, 10);
  const int shift = 10 * (static_cast<int>(unit) + 1);
  constexpr auto kLargest = std::numeric_limits<std::int64_t>::max();
  if (!number || *number < 0 || *number > (kLargest >> shift)) return std::nullopt;
  return *number << shift;
}

// False for NaN.
bool InRange(const SettingRow& row, double number) {
  return number >= row.min && number <= row.max;
}

std::string Range(const SettingRow& row) {
  const auto text = [&row](double number) {
    char buffer[32];
    return std::string(
        buffer,
        std::to_chars(buffer, std::end(buffer), static_cast<std::int64_t>(number), row.base).ptr);
  };
  return text(row.min) + " to " + text(row.max);
}

// One conversion for each type of setting: false if `from` is no such value.

bool Convert(const SettingRow& row, const Json& from, std::int64_t& to) {
  std::optional<std::int64_t> number;
  if (from.is_string()) {
    const auto& text = from.get_ref<const std::string&>();
    number = row.bytes ? ParseBytes(text) : ParseWhole(text, row.base);
  } else if (from.is_number_integer() && InRange(row, from.get<double>())) {
    number = from.get<std::int64_t>();
  }
  if (!number || !InRange(row, static_cast<double>(*number))) return false;
  to = *number;
  return true;
}

bool Convert(const SettingRow& row, const Json& from, double& to) {
  std::optional<double> number;
  if (from.is_string()) {
    number = ParseNumber<double>(from.get_ref<const std::string&>());
  } else if (from.is_number()) {
    number = from.get<double>();
  }
  if (!number || !InRange(row, *number)) return false;
  to = *number;
  return true;
}

bool Convert(const SettingRow& /*row*/, const Json& from, bool& to) {
  if (from.is_boolean()) {
    to = from.get<bool>();
    return true;
  }
  if (!from.is_string()) return false;
  const std::string text = ToLower(from.get<std::string>());
  to = std::ranges::find(kTrue, text) != std::end(kTrue);
  return to || std::ranges::find(kFalse, text) != std::end(kFalse);
}

bool AreStrings(const Json& container) {
  return std::ranges::all_of(container, [](const Json& entry) { return entry.is_string(); });
}

std::string Join(const Json& strings) {
  std::string text;
  for (const Json& entry : strings)
    text += (text.empty() ? "" : ",") + entry.get_ref<const std::string&>();
  return text;
}

// The text that a string setting is given as, whatever its type; nullopt for no such value.
std::optional<std::string> Text(const SettingRow& row, const Json& from) {
  if (from.is_string()) return from.get<std::string>();
  if (row.comma_separated && from.is_array() && AreStrings(from)) return Join(from);
  if (!row.bare_value.empty() && from.is_boolean())
    return from.get<bool>() ? std::string(row.bare_value) : Choices(row.choices).front();
  return std::nullopt;
}

bool Convert(const SettingRow& row, const Json& from, std::string& to) {
  std::optional<std::string> text = Text(row, from);
  if (text && !row.choices.empty()) {
    text = ToLower(std::move(*text));
    const std::vector<std::string> choices = Choices(row.choices);
    if (std::ranges::find(choices, *text) == choices.end()) return false;
  }
  if (text) to = std::move(*text);
  return text.has_value();
}

bool Convert(const SettingRow& row, const Json& from, std::vector<std::string>& to) {
  const Json list = from.is_string() ? Json::array({from}) : from;
  if (!list.is_array() || static_cast<double>(list.size()) < row.min) return false;
  if (!AreStrings(list)) return false;
  to = list.get<std::vector<std::string>>();
  return true;
}

bool Convert(const SettingRow& /*row*/, const Json& from, std::map<std::string, std::string>& to) {
  if (!from.is_object() || !AreStrings(from)) return false;
  to = from.get<std::map<std::string, std::string>>();
  return true;
}

struct Expected {
  const SettingRow& row;

  std::string operator()(std::int64_t Settings::* /*field*/) const {
    if (row.bytes) return "a number of bytes, as 1073741824, 512M or 2G";
    return (row.base == 8 ? "an octal number of " : "a whole number of ") + Range(row);
  }
  std::string operator()(double Settings::* /*field*/) const { return "a number of " + Range(row); }
  std::string operator()(bool Settings::* /*field*/) const { return "true or false"; }
  std::string operator()(std::string Settings::* /*field*/) const {
    return row.comma_separated ? "a string or a list of strings" : "a string";
  }
  std::string operator()(std::vector<std::string> Settings::* /*field*/) const {
    return row.min > 0 ? "a string or a list of at least one" : "a string or a list of strings";
  }
  std::string operator()(std::map<std::string, std::string> Settings::* /*field*/) const {
    return "a dict of strings";
  }
};

// 'text' for strings, JSON for the rest; on one line in any case.
std::string Quote(const Json& value) {
  std::string text = Dump(value);
  if (value.is_string()) text.front() = text.back() = '\'';
  return text;
}

std::string Enumerate(const std::vector<std::string>& names) {
  std::string text = names.front();
  for (std::size_t i = 1; i < names.size(); ++i)
    text += (i + 1 < names.size() ? ", " : " or ") + names[i];
  return text;
}

Error Invalid(std::string_view origin, std::string message) {
  const bool usage = origin == kCommandLineOrigin || origin == kCommandArgsOrigin;
  return Error{std::move(message), usage ? exit_code::kUsage : exit_code::kConfig};
}

Error InvalidValue(const SettingRow& row, const Json& value, std::string_view origin,
                   const std::string& what) {
  return Invalid(origin, "invalid value " + Quote(value) + " for " + std::string(row.name) + " (" +
                             std::string(origin) + "): " + what);
}

Error UnknownChoice(const SettingRow& row, const Json& value, std::string_view origin) {
  std::string what(row.name);
  std::ranges::replace(what, '_', ' ');
  Error error =
      Invalid(origin, what + " " + Quote(value) + " is not supported; choose " +
                          Enumerate(Choices(row.choices)) + " (" + std::string(origin) + ")");
  if (row.choices_are_parts) error.exit_code = exit_code::kConfig;
  return error;
}

bool ConvertField(const SettingRow& row, const Json& value, Settings& settings) {
  return std::visit([&](auto field) { return Convert(row, value, settings.*field); }, row.field);
}

Status Check(const SettingRow& row, const Settings& settings) {
  if (row.check == nullptr) return {};
  return row.check(settings.*std::get<std::string Settings::*>(row.field));
}

Status Apply(const SettingRow& row, const Json& value, std::string_view origin,
             Settings& settings) {
  if (value.is_null()) return {};
  const bool converted = ConvertField(row, value, settings);
  if (!converted && !row.choices.empty()) return UnknownChoice(row, value, origin);
  if (!converted)
    return InvalidValue(row, value, origin, "expected " + std::visit(Expected{row}, row.field));
  const Status checked = Check(row, settings);
  return checked ? checked : InvalidValue(row, value, origin, checked.error().message);
}

Status ApplyEnvironment(const Json& values, Settings& settings) {
  for (const auto& [name, setting, may_be_empty] : kEnvironment) {
    const auto found = values.find(name);
    if (found == values.end()) continue;
    const SettingRow& row = *FindSetting(setting);
    Json value = *found;
    if (row.name == "bind") {
      const std::string port = value.is_string() ? value.get<std::string>() : Dump(value);
      if (!ParseNumber<std::uint16_t>(port))
        return InvalidValue(row, value, name, "expected a port number of 0 to 65535");
      value = "0.0.0.0:" + port;
    }
    if (const Status applied = Apply(row, value, name, settings); !applied) return applied;
  }
  return {};
}

Status ApplyLayer(const SettingsLayer& layer, Settings& settings) {
  const Json values = Json::parse(layer.values, nullptr, /*allow_exceptions=*/false);
  if (!values.is_object())
    return Invalid(layer.origin, "the settings of " + layer.origin + " are not a JSON object");
  if (layer.origin == kEnvironmentOrigin) return ApplyEnvironment(values, settings);
  for (const SettingRow& row : SettingRows()) {
    const auto found = values.find(row.name);
    if (found == values.end()) continue;
    if (const Status applied = Apply(row, *found, layer.origin, settings); !applied) return applied;
  }
  return {};
}

}  // namespace

SettingsLayer EnvironmentLayer() {
  Json values = Json::object();
  for (const EnvironmentVariable& variable : kEnvironment) {
    const char* value = std::getenv(variable.name);
    if (value != nullptr && (variable.may_be_empty || *value != '\0'))
      values[variable.name] = value;
  }
  return {std::string(kEnvironmentOrigin), Dump(values)};
}

Result<Settings> MergeSettings(const std::vector<SettingsLayer>& layers) {
  Settings settings;
  for (const SettingsLayer& layer : layers) {
    if (const Status applied = ApplyLayer(layer, settings); !applied) return applied.error();
  }
  return settings;
}

bool IsValueOf(const SettingRow& row, const std::string& text) {
  Settings settings;
  return ConvertField(row, text, settings) && Check(row, settings);
}

std::string SettingsToJson(const Settings& settings) {
  Json values = Json::object();
  for (const SettingRow& row : SettingRows()) {
    std::visit([&](auto field) { values[std::string(row.name)] = settings.*field; }, row.field);
  }
  return Dump(values);
}

Result<Settings> SettingsFromJson(const std::string& json) {
  return MergeSettings({{"another process", json}});
}

std::vector<std::string> ChangedRestartSettings(const Settings& before, const Settings& after) {
  std::vector<std::string> names;
  for (const SettingRow& row : SettingRows()) {
    const bool changed =
        std::visit([&](auto field) { return before.*field != after.*field; }, row.field);
    if (changed && row.applies == Applies::kRestart) names.emplace_back(row.name);
  }
  return names;
}

}  // namespace gunid
