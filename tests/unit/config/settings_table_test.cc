#include "config/settings_table.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <set>
#include <utility>

namespace gunid {
namespace {

struct Anything {
  template <class T>
  operator T() const;  // NOLINT(google-explicit-constructor)
};

template <std::size_t>
using AnythingAt = Anything;

template <class Aggregate, std::size_t... indexes>
constexpr bool HasMembers(std::index_sequence<indexes...> /*count*/) {
  return requires {
    Aggregate{AnythingAt<indexes>{}...};
  };
}

// The largest number of values that the aggregate can be made of.
template <class Aggregate, std::size_t count = 1>
constexpr std::size_t MemberCount() {
  if constexpr (HasMembers<Aggregate>(std::make_index_sequence<count + 1>())) {
    return MemberCount<Aggregate, count + 1>();
  } else {
    return count;
  }
}

TEST(SettingsTable, HasOneRowForEachMemberOfSettings) {
  EXPECT_EQ(SettingRows().size(), MemberCount<Settings>());
  for (const SettingRow& row : SettingRows()) {
    for (const SettingRow& other : SettingRows()) {
      EXPECT_TRUE(&row == &other || row.field != other.field) << row.name << " and " << other.name;
    }
  }
}

TEST(SettingsTable, NamesAndFlagsAreUnique) {
  std::set<std::string_view> names;
  std::set<std::string> flags;
  for (const SettingRow& row : SettingRows()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    if (row.flags.empty()) continue;
    const std::string all = std::string(row.flags) + ",";
    for (std::size_t start = 0, end = 0; (end = all.find(',', start)) != std::string::npos;
         start = end + 1) {
      EXPECT_TRUE(flags.insert(all.substr(start, end - start)).second) << row.flags;
    }
  }
}

TEST(SettingsTable, EveryRowCanBeExplained) {
  for (const SettingRow& row : SettingRows()) {
    EXPECT_EQ(row.flags.empty(), row.name == "secure_scheme_headers") << row.name;
    EXPECT_FALSE(row.help.empty()) << row.name;
    EXPECT_FALSE(row.group.empty()) << row.name;
    const bool takes_value =
        !std::holds_alternative<bool Settings::*>(row.field) && row.flags.starts_with('-');
    EXPECT_EQ(row.value_name.empty(), !takes_value) << row.name;
  }
}

TEST(SettingsTable, OnlyStringsHaveTheRulesOfStrings) {
  for (const SettingRow& row : SettingRows()) {
    if (std::holds_alternative<std::string Settings::*>(row.field)) continue;
    EXPECT_TRUE(row.choices.empty()) << row.name;
    EXPECT_FALSE(row.comma_separated) << row.name;
    EXPECT_EQ(row.check, nullptr) << row.name;
  }
}

TEST(SettingsTable, OneFlagCanStandAlone) {
  for (const SettingRow& row : SettingRows()) {
    if (row.bare_value.empty()) continue;
    EXPECT_NE(("|" + std::string(row.choices) + "|").find("|" + std::string(row.bare_value) + "|"),
              std::string::npos)
        << row.name;
    EXPECT_EQ(row.flags.find(','), std::string_view::npos) << row.name;
  }
}

TEST(SettingsTable, DefaultsAreInRange) {
  const Settings defaults;
  for (const SettingRow& row : SettingRows()) {
    if (const auto* whole = std::get_if<std::int64_t Settings::*>(&row.field)) {
      EXPECT_GE(static_cast<double>(defaults.**whole), row.min) << row.name;
      EXPECT_LE(static_cast<double>(defaults.**whole), row.max) << row.name;
    }
    if (const auto* number = std::get_if<double Settings::*>(&row.field)) {
      EXPECT_GE(defaults.**number, row.min) << row.name;
      EXPECT_LE(defaults.**number, row.max) << row.name;
    }
    if (row.check != nullptr) {
      EXPECT_TRUE(row.check(defaults.*std::get<std::string Settings::*>(row.field))) << row.name;
    }
  }
}

TEST(FindSetting, IsCaseSensitive) {
  ASSERT_NE(FindSetting("workers"), nullptr);
  EXPECT_EQ(FindSetting("workers")->name, "workers");
  EXPECT_EQ(FindSetting("Workers"), nullptr);
  EXPECT_EQ(FindSetting(""), nullptr);
}

TEST(IsUnsupportedGunicornSetting, KnowsSettingsAndHooks) {
  for (const char* name : {"print_config", "certfile", "post_fork", "when_ready", "dirty_apps"}) {
    EXPECT_TRUE(IsUnsupportedGunicornSetting(name)) << name;
  }
  EXPECT_FALSE(IsUnsupportedGunicornSetting("my_own_variable"));
  for (const SettingRow& row : SettingRows())
    EXPECT_FALSE(IsUnsupportedGunicornSetting(row.name)) << row.name;
}

}  // namespace
}  // namespace gunid
