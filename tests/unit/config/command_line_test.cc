#include "config/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/settings_table.h"
#include "gunid/exit_codes.h"
#include "gunid/version.h"
#include "support/scoped_environment.h"

namespace gunid {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class CommandLineTest : public testing::Test {
 protected:
  CommandLineTest() {
    for (const char* name : {"GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "PORT", "SENDFILE",
                             "VIRTUAL_ENV", "FORWARDED_ALLOW_IPS"}) {
      environment_.Set(name, {});
    }
  }

  static Result<CommandLine> Parse(const std::vector<std::string>& arguments) {
    std::vector<const char*> argv{"gunid"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    return ParseCommandLine(static_cast<int>(argv.size()), argv.data());
  }

  static Settings Merged(const std::vector<std::string>& arguments) {
    const auto command_line = Parse(arguments);
    EXPECT_TRUE(command_line) << (command_line ? "" : command_line.error().message);
    if (!command_line) return {};
    EXPECT_FALSE(command_line->print);
    return *MergeSettings(command_line->layers);
  }

  static std::string UsageError(const std::vector<std::string>& arguments) {
    const auto command_line = Parse(arguments);
    EXPECT_FALSE(command_line) << testing::PrintToString(arguments);
    if (command_line) return {};
    EXPECT_EQ(command_line.error().exit_code, exit_code::kUsage);
    EXPECT_EQ(command_line.error().message.find('\n'), std::string::npos);
    return command_line.error().message;
  }

  ScopedEnvironment environment_;
};

TEST_F(CommandLineTest, TakesEverythingFromDefaults) {
  EXPECT_EQ(Merged({}), Settings());
  EXPECT_TRUE(ParseCommandLine(0, nullptr));
}

TEST_F(CommandLineTest, ReadsGunicornsFlags) {
  const Settings settings = Merged({"-w",
                                    "4",
                                    "--threads=8",
                                    "-b",
                                    "0.0.0.0:80",
                                    "--bind",
                                    "unix:/run/a",
                                    "-t",
                                    "0.5",
                                    "--preload",
                                    "--no-sendfile",
                                    "-e",
                                    "A=1",
                                    "--env=B=2",
                                    "-m",
                                    "007",
                                    "-n",
                                    "web",
                                    "-p",
                                    "x.pid",
                                    "--log-file",
                                    "-",
                                    "-kgthread",
                                    "--limit-request-field_size",
                                    "100",
                                    "--keep-alive",
                                    "5",
                                    "--check-config",
                                    "-c",
                                    "conf.py",
                                    "app:create()"});
  EXPECT_EQ(settings.workers, 4);
  EXPECT_EQ(settings.threads, 8);
  EXPECT_THAT(settings.bind, ElementsAre("0.0.0.0:80", "unix:/run/a"));
  EXPECT_EQ(settings.timeout, 0.5);
  EXPECT_TRUE(settings.preload_app);
  EXPECT_FALSE(settings.sendfile);
  EXPECT_THAT(settings.raw_env, ElementsAre("A=1", "B=2"));
  EXPECT_EQ(settings.umask, 7);
  EXPECT_EQ(settings.proc_name, "web");
  EXPECT_EQ(settings.pidfile, "x.pid");
  EXPECT_EQ(settings.errorlog, "-");
  EXPECT_EQ(settings.worker_class, "gthread");
  EXPECT_EQ(settings.limit_request_field_size, 100);
  EXPECT_EQ(settings.keepalive, 5);
  EXPECT_TRUE(settings.check_config);
  EXPECT_EQ(settings.config, "conf.py");
  EXPECT_EQ(settings.wsgi_app, "app:create()");
}

TEST_F(CommandLineTest, ReadsTheFlagsForRequestsAndProxies) {
  const Settings settings = Merged({"--limit-request-body",
                                    "1000000",
                                    "--header-timeout",
                                    "1.5",
                                    "--body-timeout",
                                    "0",
                                    "--send-timeout=7",
                                    "--slow-request",
                                    "2.5",
                                    "--permit-obsolete-folding",
                                    "--strip-header-spaces",
                                    "--permit-unconventional-http-method",
                                    "--permit-unconventional-http-version",
                                    "--casefold-http-method",
                                    "--header-map",
                                    "Refuse",
                                    "--forwarded-allow-ips",
                                    "10.0.0.0/8,::1",
                                    "--forwarder-headers",
                                    "SCRIPT_NAME,REMOTE_USER",
                                    "--proxy-allow-from",
                                    "*",
                                    "--proxy-protocol",
                                    "v2"});
  Settings expected;
  expected.limit_request_body = 1'000'000;
  expected.header_timeout = 1.5;
  expected.body_timeout = 0;
  expected.send_timeout = 7;
  expected.slow_request = 2.5;
  expected.permit_obsolete_folding = true;
  expected.strip_header_spaces = true;
  expected.permit_unconventional_http_method = true;
  expected.permit_unconventional_http_version = true;
  expected.casefold_http_method = true;
  expected.header_map = "refuse";
  expected.forwarded_allow_ips = "10.0.0.0/8,::1";
  expected.forwarder_headers = "SCRIPT_NAME,REMOTE_USER";
  expected.proxy_allow_ips = "*";
  expected.proxy_protocol = "v2";
  EXPECT_EQ(settings, expected);
}

TEST_F(CommandLineTest, ProxyProtocolMayHaveAMode) {
  const struct {
    std::vector<std::string> arguments;
    const char* mode;
    const char* application;
  } cases[] = {
      {{"app:app"}, "off", "app:app"},
      {{"--proxy-protocol"}, "auto", ""},
      {{"--proxy-protocol", "app:app"}, "auto", "app:app"},
      {{"app:app", "--proxy-protocol"}, "auto", "app:app"},
      {{"--proxy-protocol", "--preload", "app:app"}, "auto", "app:app"},
      {{"--proxy-protocol", "v1", "app:app"}, "v1", "app:app"},
      {{"--proxy-protocol", "V2", "app:app"}, "v2", "app:app"},
      {{"--proxy-protocol", "off", "app:app"}, "off", "app:app"},
      {{"--proxy-protocol=v1", "app:app"}, "v1", "app:app"},
      {{"--proxy-protocol", "--proxy-protocol", "v1", "app:app"}, "v1", "app:app"},
      {{"--proxy-protocol", "v1", "--proxy-protocol", "app:app"}, "auto", "app:app"},
      {{"--proxy-protocol", "--", "app:app"}, "auto", "app:app"},
  };
  for (const auto& [arguments, mode, application] : cases) {
    const Settings settings = Merged(arguments);
    EXPECT_EQ(settings.proxy_protocol, mode) << testing::PrintToString(arguments);
    EXPECT_EQ(settings.wsgi_app, application) << testing::PrintToString(arguments);
  }
  EXPECT_EQ(UsageError({"--proxy-protocol=v3", "app:app"}),
            "proxy protocol 'v3' is not supported; choose off, v1, v2 or auto (command line)");
  EXPECT_THAT(UsageError({"--proxy-protocol=", "app:app"}), HasSubstr("proxy protocol ''"));
  EXPECT_EQ(UsageError({"--proxy-protocol", "v3", "app:app"}), "unexpected argument 'app:app'");
  EXPECT_EQ(UsageError({"--name", "--proxy-protocol", "app:app"}), "option --name needs a value");
}

TEST_F(CommandLineTest, TheApplicationMayStandAnywhere) {
  EXPECT_EQ(Merged({"app:app", "-w", "2"}).wsgi_app, "app:app");
  EXPECT_EQ(Merged({"--preload", "app:app", "-w", "2"}).wsgi_app, "app:app");
  EXPECT_EQ(Merged({"-w", "2", "--", "app:app"}).wsgi_app, "app:app");
}

TEST_F(CommandLineTest, TheLastOfTwoWins) {
  EXPECT_EQ(Merged({"-w", "2", "--workers", "3"}).workers, 3);
  EXPECT_EQ(Merged({"--log-file", "a", "--error-logfile", "b"}).errorlog, "b");
  EXPECT_TRUE(Merged({"--preload", "--preload"}).preload_app);
}

TEST_F(CommandLineTest, TakesValuesAsTheyAre) {
  EXPECT_THAT(Merged({"-b", "[::1]:80", "-b", "[::1]"}).bind, ElementsAre("[::1]:80", "[::1]"));
  EXPECT_THAT(Merged({"-e", "A=b c, \"d\"", "-e", "B="}).raw_env,
              ElementsAre("A=b c, \"d\"", "B="));
  EXPECT_EQ(Merged({"--name="}).proc_name, "");
  EXPECT_EQ(Merged({"--name=", "app:app"}).wsgi_app, "app:app");
  EXPECT_EQ(Merged({"--name", "a=b"}).proc_name, "a=b");
}

TEST_F(CommandLineTest, NegativeNumbersAreValues) {
  EXPECT_EQ(UsageError({"--timeout", "-1"}),
            "invalid value '-1' for timeout (command line): expected a number of 0 to 31536000");
  EXPECT_THAT(UsageError({"-w", "-1"}), HasSubstr("invalid value '-1' for workers"));
  EXPECT_THAT(UsageError({"-w-1"}), HasSubstr("invalid value '-1' for workers"));
  EXPECT_THAT(UsageError({"--workers=-1"}), HasSubstr("invalid value '-1' for workers"));
}

TEST_F(CommandLineTest, NamesWhatIsWrong) {
  EXPECT_EQ(UsageError({"--foo"}), "unknown option --foo");
  EXPECT_EQ(UsageError({"--foo=bar", "app:app"}), "unknown option --foo");
  EXPECT_EQ(UsageError({"-x", "app:app"}), "unknown option -x");
  EXPECT_EQ(UsageError({"app:app", "other:app"}), "unexpected argument 'other:app'");
  EXPECT_EQ(UsageError({"--", "app:app", "other"}), "unexpected argument 'other'");
  EXPECT_EQ(UsageError({"app:app", "--workers"}), "option --workers needs a value");
  EXPECT_EQ(UsageError({"-w"}), "option -w needs a value");
  EXPECT_THAT(UsageError({"--workers="}), HasSubstr("invalid value '' for workers"));
  EXPECT_THAT(UsageError({"--preload=x"}), HasSubstr("invalid value 'x' for preload_app"));
}

TEST_F(CommandLineTest, AWorkerClassThatThereIsNotIsNoBadUsage) {
  const auto command_line = Parse({"-k", "eventlet", "app:app"});
  ASSERT_FALSE(command_line);
  EXPECT_EQ(command_line.error().exit_code, exit_code::kConfig);
  EXPECT_THAT(command_line.error().message,
              HasSubstr("worker class 'eventlet' is not supported; choose sync, gthread, gevent"));
}

TEST_F(CommandLineTest, AnOptionIsNotAValue) {
  EXPECT_EQ(UsageError({"--name", "--preload", "app:app"}), "option --name needs a value");
  EXPECT_EQ(UsageError({"-c", "-w", "4", "app:app"}), "option --config needs a value");
  EXPECT_EQ(UsageError({"--env", "--bind=x"}), "option --env needs a value");
}

TEST_F(CommandLineTest, TakesNoPrefixesAndNoOtherSpelling) {
  for (const char* option :
       {"--worker=2", "--Workers=2", "--keepalive=2", "--limit-request-field-size=2", "/w"}) {
    const auto command_line = Parse({"app:app", option});
    ASSERT_FALSE(command_line) << option;
    EXPECT_EQ(command_line.error().exit_code, exit_code::kUsage);
  }
}

TEST_F(CommandLineTest, RefusesWhatIsNotUtf8) {
  EXPECT_EQ(UsageError({"--name", "\xff"}), "the command line is not valid UTF-8");
}

TEST_F(CommandLineTest, VariableIsACommandLineBelow) {
  environment_.Set("GUNICORN_CMD_ARGS", "-w 2 -b a:1 -b a:2 --env 'A=b c' other:app");
  const Settings below = Merged({});
  EXPECT_EQ(below.workers, 2);
  EXPECT_THAT(below.bind, ElementsAre("a:1", "a:2"));
  EXPECT_THAT(below.raw_env, ElementsAre("A=b c"));
  EXPECT_EQ(below.wsgi_app, "other:app");
  const Settings above = Merged({"-b", "b:1", "app:app"});
  EXPECT_EQ(above.workers, 2);
  EXPECT_THAT(above.bind, ElementsAre("b:1"));
  EXPECT_EQ(above.wsgi_app, "app:app");
}

TEST_F(CommandLineTest, ErrorsOfTheVariableNameIt) {
  environment_.Set("GUNICORN_CMD_ARGS", "--foo");
  EXPECT_EQ(UsageError({}), "unknown option --foo (GUNICORN_CMD_ARGS)");
  environment_.Set("GUNICORN_CMD_ARGS", "-w x");
  EXPECT_THAT(UsageError({}), HasSubstr("invalid value 'x' for workers (GUNICORN_CMD_ARGS)"));
  environment_.Set("GUNICORN_CMD_ARGS", "--name 'x");
  EXPECT_EQ(UsageError({}), "a quote ' is not closed (GUNICORN_CMD_ARGS)");
  environment_.Set("GUNICORN_CMD_ARGS", "--forwarded-allow-ips=10.0.0.1/8");
  EXPECT_EQ(UsageError({}),
            "invalid value '10.0.0.1/8' for forwarded_allow_ips (GUNICORN_CMD_ARGS): '10.0.0.1/8' "
            "has host bits set");
}

TEST_F(CommandLineTest, LayersAreLowestFirst) {
  const auto command_line = Parse({"app:app"});
  ASSERT_TRUE(command_line);
  std::vector<std::string> origins;
  for (const SettingsLayer& layer : command_line->layers) origins.push_back(layer.origin);
  EXPECT_THAT(origins, ElementsAre("environment", "GUNICORN_CMD_ARGS", "command line"));
}

TEST_F(CommandLineTest, BadEnvironmentIsAConfigurationError) {
  environment_.Set("PORT", "x");
  const auto command_line = Parse({"app:app"});
  ASSERT_FALSE(command_line);
  EXPECT_EQ(command_line.error().exit_code, exit_code::kConfig);
  EXPECT_THAT(command_line.error().message, HasSubstr("PORT"));
}

TEST_F(CommandLineTest, HelpNamesEveryFlag) {
  for (const char* flag : {"-h", "--help"}) {
    const auto command_line = Parse({flag});
    ASSERT_TRUE(command_line);
    ASSERT_TRUE(command_line->print);
    EXPECT_THAT(*command_line->print, HasSubstr("Usage: gunid [OPTIONS] MODULE[:CALLABLE]\n"));
    EXPECT_THAT(*command_line->print, HasSubstr("Worker processes [1]\n"));
    EXPECT_THAT(*command_line->print, HasSubstr("  --no-sendfile  "));
    EXPECT_THAT(*command_line->print, Not(HasSubstr("\n\n\n")));
    EXPECT_THAT(*command_line->print, HasSubstr("[127.0.0.1:8000]\n"));
    EXPECT_THAT(*command_line->print, HasSubstr("--proxy-protocol [MODE]"));
    for (const SettingRow& row : SettingRows()) {
      if (row.flags.empty()) {
        EXPECT_THAT(*command_line->print, Not(HasSubstr(std::string(row.help))));
        continue;
      }
      const std::string_view flags = row.flags.substr(row.flags.starts_with('!') ? 1 : 0);
      EXPECT_THAT(*command_line->print, HasSubstr(std::string(flags)));
      EXPECT_THAT(*command_line->print, HasSubstr(std::string(row.help)));
    }
  }
}

TEST_F(CommandLineTest, HelpComesBeforeBadValues) {
  EXPECT_TRUE(Parse({"--help", "-w", "x", "--foo"})->print);
}

TEST_F(CommandLineTest, PrintsTheVersion) {
  for (const char* flag : {"-v", "--version"}) {
    const auto command_line = Parse({flag});
    ASSERT_TRUE(command_line);
    EXPECT_EQ(command_line->print, std::string("gunid ") + GUNID_VERSION + "\n");
  }
}

}  // namespace
}  // namespace gunid
