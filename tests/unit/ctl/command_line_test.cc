#include "ctl/command_line.h"

#include <gtest/gtest.h>

#include <set>

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

// One of each form that a command line may have.
const struct {
  Arguments arguments;
  Command command;
} kExamples[] = {
    {{"status"}, {CommandId::kStatus}},
    {{"stats"}, {CommandId::kStats}},
    {{"workers"}, {CommandId::kWorkers}},
    {{"requests"}, {CommandId::kRequests}},
    {{"events"}, {CommandId::kEvents}},
    {{"events", "0"}, {CommandId::kEvents, 0, 0, {}, 0}},
    {{"events", "17"}, {CommandId::kEvents, 0, 0, {}, 17}},
    {{"stack", "3"}, {CommandId::kStack, 0, 3}},
    {{"scale", "8"}, {CommandId::kScale, 8}},
    {{"reload"}, {CommandId::kReload}},
    {{"ready"}, {CommandId::kReady}},
    {{"crashes"}, {CommandId::kCrashes}},
    {{"job", "4"}, {.id = CommandId::kJob, .job = 4}},
    {{"rollback"}, {CommandId::kRollback}},
    {{"restart"}, {CommandId::kRestart}},
    {{"upgrade"}, {CommandId::kUpgrade}},
    {{"cancel", "3-1841"}, {CommandId::kCancel, 0, 0, {3, 1841}}},
    {{"stop"}, {CommandId::kStop}},
};

TEST(ParseCommandLine, KnowsEveryCommand) {
  std::set<CommandId> known;
  for (const auto& example : kExamples) {
    const CommandLine line = Parsed(example.arguments);
    ASSERT_NE(line.row, nullptr);
    EXPECT_EQ(line.row->name, example.arguments.front());
    EXPECT_EQ(line.command.id, example.command.id);
    EXPECT_EQ(line.command.workers, example.command.workers);
    EXPECT_EQ(line.command.worker, example.command.worker);
    EXPECT_EQ(line.command.request, example.command.request);
    EXPECT_EQ(line.command.after, example.command.after);
    EXPECT_EQ(line.command.job, example.command.job);
    EXPECT_TRUE(line.command.wait);
    EXPECT_FALSE(line.json);
    EXPECT_FALSE(line.timeout);
    EXPECT_FALSE(line.follow);
    known.insert(line.command.id);
  }
  EXPECT_EQ(known.size(), kCommands.size());
}

TEST(ParseCommandLine, EventsMayBeFollowed) {
  for (const Arguments& arguments : {Arguments{"events", "--follow", "17", "--json"},
                                     Arguments{"--json", "events", "17", "--follow"}}) {
    const CommandLine line = Parsed(arguments);
    EXPECT_TRUE(line.follow);
    EXPECT_TRUE(line.json);
    EXPECT_EQ(line.command.after, 17);
  }
  EXPECT_EQ(Parsed({"events", "--follow"}).command.after, std::nullopt);
}

TEST(ParseCommandLine, NobodyHasToWaitForAJob) {
  EXPECT_FALSE(Parsed({"reload", "--no-wait"}).command.wait);
  EXPECT_FALSE(Parsed({"scale", "--no-wait", "3"}).command.wait);
  EXPECT_TRUE(Parsed({"reload"}).command.wait);
  EXPECT_EQ(Parsed({"job", "4"}).command.job, 4);
  EXPECT_EQ(Exited({"stop", "--no-wait"}).exit_code, 2);
  EXPECT_EQ(Exited({"job", "four"}).exit_code, 2);
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
    EXPECT_EQ(line.command.workers, 3);
  }
  EXPECT_EQ(Parsed({"--name", "shop", "status"}).name, "shop");
}

TEST(ParseCommandLine, RefusesMistakesInOneLine) {
  const std::string range = "gunictl: scale: WORKERS must be a whole number from 1 to 512, not ";
  const std::string worker =
      "gunictl: stack: WORKER must be the id or pid of a worker, a whole number, not ";
  const std::string request =
      "gunictl: cancel: REQUEST must be the id of a request, such as 3-1841, not ";
  const std::string event = "gunictl: events: AFTER must be the id of an event, or 0, not ";
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
      {{"scale", "08"}, range + "'08'"},
      {{"scale", ""}, range + "''"},
      {{"scale", "\x1b[31m"}, range + "'\\x1b[31m'"},
      {{"scale"}, "gunictl: scale: WORKERS is required"},
      {{"stack", "0"}, worker + "'0'"},
      {{"stack", "-1"}, worker + "'-1'"},
      {{"stack", "x"}, worker + "'x'"},
      {{"stack", "3-1841"}, worker + "'3-1841'"},
      {{"stack", "2147483648"}, worker + "'2147483648'"},
      {{"stack", ""}, worker + "''"},
      {{"stack"}, "gunictl: stack: WORKER is required"},
      {{"cancel", "3"}, request + "'3'"},
      {{"cancel", "3-"}, request + "'3-'"},
      {{"cancel", "-3"}, request + "'-3'"},
      {{"cancel", "0-1"}, request + "'0-1'"},
      {{"cancel", "3-01"}, request + "'3-01'"},
      {{"cancel", "3 - 1"}, request + "'3 - 1'"},
      {{"cancel", "3-\n1"}, request + "'3-\\x0a1'"},
      {{"cancel", "3-18446744073709551616"}, request + "'3-18446744073709551616'"},
      {{"cancel"}, "gunictl: cancel: REQUEST is required"},
      {{"events", "x"}, event + "'x'"},
      {{"events", "-1"}, event + "'-1'"},
      {{"events", ""}, event + "''"},
      {{"events", "--follow", "3-1"}, event + "'3-1'"},
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
        Arguments{"--name", "", "stop"}, Arguments{"status", "-s"}, Arguments{"requests", "1"},
        Arguments{"stack", "1", "2"}, Arguments{"events", "1", "2"},
        Arguments{"status", "--follow"}, Arguments{"--follow", "events"},
        Arguments{"stack", "--follow", "1"}}) {
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
  EXPECT_NE(Exited({"events", "--help"}).text.find("--follow"), std::string::npos);
}

TEST(ParseCommandLine, VersionIsThatOfTheProject) {
  EXPECT_EQ(Exited({"--version"}).exit_code, ctl_exit::kDone);
  EXPECT_EQ(Exited({"--version"}).text, "gunictl " GUNID_VERSION "\n");
}

}  // namespace
}  // namespace gunid
