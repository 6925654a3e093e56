#include "config/settings_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "gunid/exit_codes.h"
#include "support/scoped_environment.h"

namespace gunid {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

Result<Settings> FromFile(const std::string& values) {
  return MergeSettings({{"gunicorn.conf.py", values}});
}

std::string ErrorOf(const std::string& values) {
  const auto settings = FromFile(values);
  EXPECT_FALSE(settings) << values;
  return settings ? "" : settings.error().message;
}

TEST(MergeSettings, GivesTheDefaultsForNoLayers) {
  EXPECT_EQ(*MergeSettings({}), Settings());
}

TEST(MergeSettings, HigherLayersWin) {
  const auto settings =
      MergeSettings({{"a", R"({"workers": 2, "threads": 3, "bind": ["a:1", "a:2"]})"},
                     {"b", R"({"workers": 4, "bind": "b:1"})"}});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->workers, 4);
  EXPECT_EQ(settings->threads, 3);
  EXPECT_THAT(settings->bind, ElementsAre("b:1"));
}

TEST(MergeSettings, TakesTheTypesOfAConfigurationFile) {
  const auto settings =
      FromFile(R"({"workers": 4, "timeout": 2.5, "graceful_timeout": 7, "preload_app": true,
      "sendfile": false, "proc_name": "web", "raw_env": ["A=1", "B=2"], "umask": 18})");
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->workers, 4);
  EXPECT_EQ(settings->timeout, 2.5);
  EXPECT_EQ(settings->graceful_timeout, 7);
  EXPECT_TRUE(settings->preload_app);
  EXPECT_FALSE(settings->sendfile);
  EXPECT_EQ(settings->proc_name, "web");
  EXPECT_THAT(settings->raw_env, ElementsAre("A=1", "B=2"));
  EXPECT_EQ(settings->umask, 022);
}

TEST(MergeSettings, TakesText) {
  const auto settings =
      FromFile(R"({"workers": "4", "timeout": "2.5", "preload_app": "True", "sendfile": "false",
      "raw_env": "A=1", "umask": "022", "loglevel": "INFO"})");
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->workers, 4);
  EXPECT_EQ(settings->timeout, 2.5);
  EXPECT_TRUE(settings->preload_app);
  EXPECT_FALSE(settings->sendfile);
  EXPECT_THAT(settings->raw_env, ElementsAre("A=1"));
  EXPECT_EQ(settings->umask, 022);
  EXPECT_EQ(settings->loglevel, "info");
}

TEST(MergeSettings, UmaskIsOctalAsText) {
  for (const char* text : {"22", "022", "0o22"}) {
    const auto settings = FromFile(std::string(R"({"umask": ")") + text + "\"}");
    ASSERT_TRUE(settings) << text;
    EXPECT_EQ(settings->umask, 022) << text;
  }
  EXPECT_EQ(ErrorOf(R"({"umask": "8"})"),
            "invalid value '8' for umask (gunicorn.conf.py): expected an octal number of 0 to 777");
  EXPECT_THAT(ErrorOf(R"({"umask": 512})"), HasSubstr("invalid value 512 for umask"));
}

TEST(MergeSettings, IgnoresNullAndUnknownNames) {
  EXPECT_EQ(*FromFile(R"({"pidfile": null, "workers": null, "Workers": "x", "statsd_host": 1})"),
            Settings());
}

TEST(MergeSettings, NamesSettingValueAndOrigin) {
  const auto settings = MergeSettings({{std::string(kCommandLineOrigin), R"({"workers": "x"})"}});
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().message,
            "invalid value 'x' for workers (command line): expected a whole number of 1 to 512");
}

TEST(MergeSettings, ChecksTheFormatOfTheAccessLog) {
  EXPECT_EQ(FromFile(R"j({"access_log_format": "%(s)s 100%%"})j")->access_log_format,
            "%(s)s 100%%");
  EXPECT_EQ(ErrorOf(R"j({"access_log_format": "%(h)s %(s)5s"})j"),
            "invalid value '%(h)s %(s)5s' for access_log_format (gunicorn.conf.py): expected "
            "%(ATOM)s or %% at '%(s)5s'");
}

TEST(MergeSettings, ChecksWholeNumbers) {
  for (const char* value : {"0", "513", "-1", "4.0", "true", "[4]", "{}", "\"\"", "\"4 \"",
                            "\" 4\"", "\"4x\"", "\"0x4\"", "\"99999999999999999999\"",
                            "18446744073709551615", "-9223372036854775808", "1e400"}) {
    EXPECT_THAT(ErrorOf(std::string("{\"workers\": ") + value + "}"), Not(IsEmpty())) << value;
  }
  EXPECT_EQ(FromFile(R"({"workers": 1})")->workers, 1);
  EXPECT_EQ(FromFile(R"({"workers": 512})")->workers, 512);
}

TEST(MergeSettings, ChecksNumbers) {
  for (const char* value : {"-0.1", "\"-1\"", "\"nan\"", "\"inf\"", "\"30s\"", "\"\"", "true", "[]",
                            "1e300", "\"1e999\""}) {
    EXPECT_EQ(ErrorOf(std::string("{\"timeout\": ") + value + "}").find("\n"), std::string::npos)
        << value;
  }
  EXPECT_THAT(ErrorOf(R"({"timeout": -1})"), HasSubstr("expected a number of 0 to 31536000"));
  EXPECT_EQ(FromFile(R"({"timeout": 0})")->timeout, 0);
  EXPECT_EQ(FromFile(R"({"timeout": "0.25"})")->timeout, 0.25);
}

TEST(MergeSettings, ChecksTheOtherTypes) {
  EXPECT_THAT(ErrorOf(R"({"preload_app": "maybe"})"), HasSubstr("expected true or false"));
  EXPECT_THAT(ErrorOf(R"({"preload_app": 1})"), HasSubstr("expected true or false"));
  EXPECT_THAT(ErrorOf(R"({"proc_name": 5})"), HasSubstr("invalid value 5 for proc_name"));
  EXPECT_THAT(ErrorOf(R"({"raw_env": ["A=1", 2]})"),
              HasSubstr("expected a string or a list of strings"));
  EXPECT_THAT(ErrorOf(R"({"bind": []})"), HasSubstr("expected a string or a list of at least one"));
  EXPECT_THAT(FromFile(R"({"raw_env": []})")->raw_env, IsEmpty());
}

TEST(MergeSettings, NamesTheChoices) {
  EXPECT_EQ(ErrorOf(R"({"worker_class": "eventlet"})"),
            "worker class 'eventlet' is not supported; choose sync, gthread, gevent, gevent_wsgi "
            "or gevent_pywsgi (gunicorn.conf.py)");
  EXPECT_EQ(ErrorOf(R"({"loglevel": "loud"})"),
            "loglevel 'loud' is not supported; choose debug, info, warning, error or critical "
            "(gunicorn.conf.py)");
  EXPECT_THAT(ErrorOf(R"({"worker_class": 3})"), HasSubstr("worker class 3 is not supported"));
  EXPECT_THAT(ErrorOf(R"({"worker_class": "sync|gthread"})"), HasSubstr("is not supported"));
  EXPECT_THAT(ErrorOf(R"({"worker_class": ""})"), HasSubstr("is not supported"));
}

TEST(Settings, KindOfWorker) {
  const struct {
    const char* settings;
    std::string_view kind;
  } cases[] = {
      {R"({})", "sync"},
      {R"({"worker_class": "sync", "threads": 2})", "gthread"},
      {R"({"worker_class": "gthread"})", "gthread"},
      {R"({"worker_class": "gevent"})", "gevent"},
      {R"({"worker_class": "gevent", "threads": 2})", "gevent"},
      {R"({"worker_class": "gevent_wsgi"})", "gevent"},
      {R"({"worker_class": "GEVENT_PYWSGI"})", "gevent"},
  };
  for (const auto& [settings, kind] : cases) {
    const auto merged = FromFile(settings);
    ASSERT_TRUE(merged) << settings;
    EXPECT_EQ(merged->worker_kind(), kind) << settings;
    EXPECT_EQ(merged->threaded(), kind == "gthread") << settings;
    EXPECT_EQ(merged->greenlets(), kind == "gevent") << settings;
  }
}

TEST(MergeSettings, ProxyProtocolWasABooleanOnce) {
  const struct {
    const char* value;
    const char* mode;
  } cases[] = {{"true", "auto"}, {"false", "off"}, {"null", "off"},
               {"\"v1\"", "v1"}, {"\"V2\"", "v2"}, {"\"off\"", "off"}};
  for (const auto& [value, mode] : cases) {
    const auto settings = FromFile(std::string(R"({"proxy_protocol": )") + value + "}");
    ASSERT_TRUE(settings) << value;
    EXPECT_EQ(settings->proxy_protocol, mode) << value;
  }
  EXPECT_EQ(ErrorOf(R"({"proxy_protocol": "v3"})"),
            "proxy protocol 'v3' is not supported; choose off, v1, v2 or auto (gunicorn.conf.py)");
  EXPECT_THAT(ErrorOf(R"({"proxy_protocol": 1})"), HasSubstr("proxy protocol 1 is not supported"));
  EXPECT_THAT(ErrorOf(R"({"header_map": true})"), HasSubstr("header map true is not supported"));
}

TEST(MergeSettings, ListsForProxiesAreJoined) {
  const auto settings = FromFile(
      R"({"forwarded_allow_ips": ["10.0.0.0/8", "::1"], "proxy_allow_ips": [],
          "forwarder_headers": ["SCRIPT_NAME", "REMOTE_USER"]})");
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->forwarded_allow_ips, "10.0.0.0/8,::1");
  EXPECT_EQ(settings->proxy_allow_ips, "");
  EXPECT_EQ(settings->forwarder_headers, "SCRIPT_NAME,REMOTE_USER");
  EXPECT_THAT(ErrorOf(R"({"forwarder_headers": [1]})"),
              HasSubstr("expected a string or a list of strings"));
  EXPECT_THAT(ErrorOf(R"({"proc_name": ["a"]})"), HasSubstr("expected a string"));
}

TEST(MergeSettings, ChecksNetworks) {
  EXPECT_EQ(ErrorOf(R"({"forwarded_allow_ips": "::1,10.0.0.1/8"})"),
            "invalid value '::1,10.0.0.1/8' for forwarded_allow_ips (gunicorn.conf.py): "
            "'10.0.0.1/8' has host bits set");
  EXPECT_EQ(ErrorOf(R"({"proxy_allow_ips": ["localhost"]})"),
            "invalid value [\"localhost\"] for proxy_allow_ips (gunicorn.conf.py): 'localhost' is "
            "not an IP address or network");
  EXPECT_EQ(ErrorOf(R"({"proxy_allow_ips": "a\nb"})"),
            "invalid value 'a\\nb' for proxy_allow_ips (gunicorn.conf.py): 'a?b' is not an IP "
            "address or network");
  for (const char* list : {"", "*", "127.0.0.1", " 10.0.0.0/8 , fd00::/8"}) {
    const auto settings = FromFile(std::string(R"({"forwarded_allow_ips": ")") + list + "\"}");
    ASSERT_TRUE(settings) << list;
    EXPECT_EQ(settings->forwarded_allow_ips, list);
  }
}

TEST(MergeSettings, ADictReplacesTheDefault) {
  const auto settings = FromFile(R"({"secure_scheme_headers": {"X-Scheme": "https"}})");
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_THAT(settings->secure_scheme_headers, ElementsAre(Pair("X-Scheme", "https")));
  EXPECT_THAT(FromFile(R"({"secure_scheme_headers": {}})")->secure_scheme_headers, IsEmpty());
  for (const char* value : {"[]", "\"a\"", "true", R"({"a": 1})", R"({"a": ["b"]})"}) {
    EXPECT_EQ(
        ErrorOf(std::string(R"({"secure_scheme_headers": )") + value + "}").find("invalid value "),
        0u)
        << value;
  }
  EXPECT_EQ(ErrorOf(R"({"secure_scheme_headers": {"a": 1}})"),
            "invalid value {\"a\":1} for secure_scheme_headers (gunicorn.conf.py): expected a dict "
            "of strings");
}

TEST(MergeSettings, ABodyMayBeLimitedToMoreThanMemoryHolds) {
  EXPECT_EQ(FromFile(R"({"limit_request_body": "1000000000000000"})")->limit_request_body,
            1'000'000'000'000'000);
  EXPECT_THAT(ErrorOf(R"({"limit_request_body": -1})"),
              HasSubstr("expected a whole number of 0 to 1000000000000000"));
}

TEST(MergeSettings, ErrorsAreOneLine) {
  EXPECT_EQ(
      ErrorOf(R"({"workers": "a\nb"})"),
      "invalid value 'a\\nb' for workers (gunicorn.conf.py): expected a whole number of 1 to 512");
}

TEST(MergeSettings, RefusesALayerThatIsNoObject) {
  for (const char* values : {"", "[]", "3", "{", "null", "{\"workers\": 4"}) {
    EXPECT_THAT(ErrorOf(values), HasSubstr("gunicorn.conf.py")) << values;
  }
}

TEST(MergeSettings, TheOriginDecidesTheExitCode) {
  const std::string bad = R"({"workers": "x"})";
  EXPECT_EQ(MergeSettings({{"command line", bad}}).error().exit_code, exit_code::kUsage);
  EXPECT_EQ(MergeSettings({{"GUNICORN_CMD_ARGS", bad}}).error().exit_code, exit_code::kUsage);
  EXPECT_EQ(MergeSettings({{"gunicorn.conf.py", bad}}).error().exit_code, exit_code::kConfig);
  EXPECT_EQ(MergeSettings({{"conf.py", R"({"worker_class": "x"})"}}).error().exit_code,
            exit_code::kConfig);
  const std::string networks = R"({"proxy_allow_ips": "x"})";
  EXPECT_EQ(MergeSettings({{"command line", networks}}).error().exit_code, exit_code::kUsage);
  EXPECT_EQ(MergeSettings({{"conf.py", networks}}).error().exit_code, exit_code::kConfig);
}

class EnvironmentLayerTest : public testing::Test {
 protected:
  EnvironmentLayerTest() {
    for (const char* name :
         {"WEB_CONCURRENCY", "PORT", "SENDFILE", "VIRTUAL_ENV", "FORWARDED_ALLOW_IPS"}) {
      environment_.Set(name, {});
    }
  }
  static Result<Settings> Merged() { return MergeSettings({EnvironmentLayer()}); }

  ScopedEnvironment environment_;
};

TEST_F(EnvironmentLayerTest, IsEmptyWithoutVariables) {
  EXPECT_EQ(*Merged(), Settings());
  environment_.Set("PORT", "");
  environment_.Set("WEB_CONCURRENCY", "");
  EXPECT_EQ(*Merged(), Settings());
}

TEST_F(EnvironmentLayerTest, ReadsTheVariables) {
  environment_.Set("WEB_CONCURRENCY", "3");
  environment_.Set("PORT", "5000");
  environment_.Set("SENDFILE", "no");
  environment_.Set("VIRTUAL_ENV", "/srv/venv");
  environment_.Set("FORWARDED_ALLOW_IPS", "10.0.0.0/8");
  const auto settings = Merged();
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->workers, 3);
  EXPECT_THAT(settings->bind, ElementsAre("0.0.0.0:5000"));
  EXPECT_FALSE(settings->sendfile);
  EXPECT_EQ(settings->venv, "/srv/venv");
  EXPECT_EQ(settings->forwarded_allow_ips, "10.0.0.0/8");
}

TEST_F(EnvironmentLayerTest, NoProxyIsTrustedIfTheVariableIsEmpty) {
  environment_.Set("FORWARDED_ALLOW_IPS", "");
  EXPECT_EQ(Merged()->forwarded_allow_ips, "");
}

TEST_F(EnvironmentLayerTest, ErrorsNameTheVariable) {
  environment_.Set("WEB_CONCURRENCY", "many");
  EXPECT_EQ(
      Merged().error().message,
      "invalid value 'many' for workers (WEB_CONCURRENCY): expected a whole number of 1 to 512");
  EXPECT_EQ(Merged().error().exit_code, exit_code::kConfig);
  environment_.Set("WEB_CONCURRENCY", {});
  environment_.Set("PORT", "http");
  EXPECT_EQ(Merged().error().message,
            "invalid value 'http' for bind (PORT): expected a port number of 0 to 65535");
  environment_.Set("PORT", "65536");
  EXPECT_FALSE(Merged());
  environment_.Set("PORT", {});
  environment_.Set("FORWARDED_ALLOW_IPS", "10.0.0.1/8");
  EXPECT_EQ(Merged().error().message,
            "invalid value '10.0.0.1/8' for forwarded_allow_ips (FORWARDED_ALLOW_IPS): "
            "'10.0.0.1/8' has host bits set");
  EXPECT_EQ(Merged().error().exit_code, exit_code::kConfig);
}

TEST_F(EnvironmentLayerTest, BadUtf8DoesNoHarm) {
  environment_.Set("WEB_CONCURRENCY", "\xff");
  EXPECT_THAT(Merged().error().message, HasSubstr("WEB_CONCURRENCY"));
}

TEST_F(EnvironmentLayerTest, LayersAboveWin) {
  environment_.Set("PORT", "5000");
  EXPECT_THAT(
      MergeSettings({EnvironmentLayer(), {"gunicorn.conf.py", R"({"bind": "unix:x"})"}})->bind,
      ElementsAre("unix:x"));
}

TEST(IsValueOf, IsWhatTheSettingTakes) {
  const struct {
    const char* setting;
    const char* text;
    bool is_value;
  } cases[] = {{"proxy_protocol", "v1", true},
               {"proxy_protocol", "AUTO", true},
               {"proxy_protocol", "app:app", false},
               {"proxy_protocol", "", false},
               {"workers", "4", true},
               {"workers", "0", false},
               {"proxy_allow_ips", "*", true},
               {"proxy_allow_ips", "app", false}};
  for (const auto& [setting, text, is_value] : cases)
    EXPECT_EQ(IsValueOf(*FindSetting(setting), text), is_value) << setting << " " << text;
}

TEST(SettingsToJson, ComesBackUnchanged) {
  Settings settings;
  EXPECT_EQ(*SettingsFromJson(SettingsToJson(settings)), settings);
  settings.bind = {"unix:/run/\"x\".sock", "[::]:80"};
  settings.workers = 7;
  settings.timeout = 0.1;
  settings.preload_app = true;
  settings.sendfile = false;
  settings.umask = 027;
  settings.proc_name = "Bücher";
  settings.raw_env = {"A=\n", "B=\\"};
  settings.limit_request_body = 1'000'000'000'000'000;
  settings.casefold_http_method = true;
  settings.header_map = "refuse";
  settings.forwarded_allow_ips = "";
  settings.secure_scheme_headers = {{"X-\"Scheme\"", ""}, {"x-b", "c"}};
  settings.proxy_protocol = "v2";
  const auto back = SettingsFromJson(SettingsToJson(settings));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, settings);
}

TEST(SettingsToJson, BearsWhatIsNotUtf8) {
  Settings settings;
  settings.proc_name = "\xff";
  EXPECT_TRUE(SettingsFromJson(SettingsToJson(settings)));
}

TEST(SettingsFromJson, RefusesNonsense) {
  EXPECT_FALSE(SettingsFromJson("nonsense"));
  EXPECT_FALSE(SettingsFromJson(R"({"workers": "x"})"));
}

TEST(ChangedRestartSettings, NamesOnlyWhatAReloadCannotChange) {
  const Settings before;
  Settings after;
  after.workers = 9;
  after.bind = {"0.0.0.0:80"};
  after.secure_scheme_headers = {};
  after.proxy_protocol = "v1";
  EXPECT_THAT(ChangedRestartSettings(before, after), IsEmpty());
  after.pidfile = "/run/x.pid";
  after.control_socket = "/run/x.sock";
  EXPECT_THAT(ChangedRestartSettings(before, after), ElementsAre("pidfile", "control_socket"));
}

}  // namespace
}  // namespace gunid
