#include "ctl/command_line.h"

#include <gtest/gtest.h>

#include "gunid/exit_codes.h"
#include "gunid/version.h"

namespace gunid {
namespace {

using Arguments = std::vector<std::string>;

CommandLine Parsed(const Arguments& arguments) {
  auto parsed = ParseCommandLine(arguments);
  if (auto* exit = std::get_if<CommandLineExit>(&parsed)) {
    ADD_FAILURE() << exit->text;
    return {};
  }
  return std::get<CommandLine>(parsed);
}

CommandLineExit Exited(const Arguments& arguments) {
  auto parsed = ParseCommandLine(arguments);
  if (auto* exit = std::get_if<CommandLineExit>(&parsed)) return *exit;
  ADD_FAILURE() << "accepted";
  return {};
}

TEST(ParseCommandLine, KnowsEveryCommand) {
  for (const CommandRow& row : kCommands) {
    Arguments arguments{std::string(row.name)};
    if (!row.argument.empty()) arguments.push_back("8");
    const CommandLine line = Parsed(arguments);
    EXPECT_EQ(line.command, &row) << row.name;
    EXPECT_EQ(line.argument, row.argument.empty() ? 0 : 8);
    EXPECT_FALSE(line.json);
    EXPECT_FALSE(line.timeout);
  }
}

TEST(ParseCommandLine, TakesOptionsBeforeAndAfterTheCommand) {
  for (const Arguments& arguments :
       {Arguments{"-s", "/x.sock", "--json", "--timeout", "2.5", "scale", "3"},
        Arguments{"scale", "3", "--socket=/x.sock", "--timeout=2.5", "--json"},
        Arguments{"--json", "scale", "--timeout", "2.5", "3", "-s/x.sock"}}) {
    const CommandLine line = Parsed(arguments);
    EXPECT_EQ(line.socket, "/x.sock");
    EXPECT_TRUE(line.json);
    EXPECT_EQ(line.timeout, 2.5);
    EXPECT_EQ(line.argument, 3);
  }
  EXPECT_EQ(Parsed({"--name", "shop", "status"}).name, "shop");
}

TEST(ParseCommandLine, RefusesMistakesInOneLine) {
  const std::string range = "gunictl: scale: WORKERS must be a whole number from 1 to 512, not ";
  const std::string timeout = "gunictl: --timeout must be a number of seconds greater than 0, not ";
  const struct {
    Arguments arguments;
    std::string text;
  } cases[] = {
      {{"scale", "0"}, range + "'0'"},
      {{"scale", "-1"}, range + "'-1'"},
      {{"scale", "--", "-1"}, range + "'-1'"},
      {{"scale", "abc"}, range + "'abc'"},
      {{"scale", "513"}, range + "'513'"},
      {{"scale", "1000000"}, range + "'1000000'"},
      {{"scale", "99999999999999999999"}, range + "'99999999999999999999'"},
      {{"scale", "1.5"}, range + "'1.5'"},
      {{"scale", "8x"}, range + "'8x'"},
      {{"scale", "+8"}, range + "'+8'"},
      {{"scale", ""}, range + "''"},
      {{"scale", "\x1b[31m"}, range + "'\\x1b[31m'"},
      {{"scale"}, "gunictl: scale: WORKERS is required"},
      {{}, "gunictl: no command given; see gunictl --help"},
      {{"--json"}, "gunictl: no command given; see gunictl --help"},
      {{"foo"}, "gunictl: there is no command 'foo'; see gunictl --help"},
      {{"--timeout", "0", "status"}, timeout + "'0'"},
      {{"--timeout", "-3", "status"}, timeout + "'-3'"},
      {{"--timeout", "nan", "status"}, timeout + "'nan'"},
      {{"--timeout", "inf", "status"}, timeout + "'inf'"},
      {{"--timeout", "", "status"}, timeout + "''"},
  };
  for (const auto& test : cases) {
    const CommandLineExit exit = Exited(test.arguments);
    EXPECT_EQ(exit.exit_code, ctl_exit::kUsage);
    EXPECT_EQ(exit.text, test.text + "\n");
  }
}

TEST(ParseCommandLine, RefusesWhatDoesNotGoTogether) {
  for (const Arguments& arguments :
       {Arguments{"-s", "/x.sock", "--name", "shop", "status"}, Arguments{"status", "3"},
        Arguments{"scale", "3", "4"}, Arguments{"status", "workers"},
        Arguments{"--bogus", "status"}, Arguments{"-s", "", "stop"},
        Arguments{"--name", "", "stop"}, Arguments{"status", "-s"}}) {
    const CommandLineExit exit = Exited(arguments);
    EXPECT_EQ(exit.exit_code, ctl_exit::kUsage);
    EXPECT_EQ(std::count(exit.text.begin(), exit.text.end(), '\n'), 1) << exit.text;
  }
}

TEST(ParseCommandLine, HelpNamesEveryCommand) {
  const CommandLineExit help = Exited({"--help"});
  EXPECT_EQ(help.exit_code, ctl_exit::kDone);
  for (const CommandRow& row : kCommands) {
    EXPECT_NE(help.text.find("  " + std::string(row.name) + " "), std::string::npos) << row.name;
    EXPECT_NE(help.text.find(row.help), std::string::npos) << row.name;
  }
  EXPECT_NE(Exited({"scale", "--help"}).text.find("WORKERS"), std::string::npos);
}

TEST(ParseCommandLine, VersionIsThatOfTheProject) {
  EXPECT_EQ(Exited({"--version"}).exit_code, ctl_exit::kDone);
  EXPECT_EQ(Exited({"--version"}).text, "gunictl " GUNID_VERSION "\n");
}

}  // namespace
}  // namespace gunid
