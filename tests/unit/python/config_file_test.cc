#include "python/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "gunid/exit_codes.h"
#include "python/python_fixture.h"

namespace gunid {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ConfigFileTest : public ::testing::Test {
 protected:
  json Values(const std::string& path) {
    const auto file = LoadConfigFile(path);
    if (!file.ok()) return file.error().message + "\n" + file.error().detail;
    return json::parse(file->layer.values);
  }
  const TemporaryFolder folder_;
};

TEST_F(ConfigFileTest, ConvertsValuesOfSettings) {
  const struct {
    const char* source;
    const char* values;
  } cases[] = {
      {"workers = 2 * 2 + 1", R"({"workers": 5})"},
      {"timeout = 2.5", R"({"timeout": 2.5})"},
      {"preload_app = True", R"({"preload_app": true})"},
      {"bind = '0.0.0.0:80'", R"({"bind": "0.0.0.0:80"})"},
      {"bind = ['a:1', 'b:2']", R"({"bind": ["a:1", "b:2"]})"},
      {"raw_env = ('A=1',)", R"({"raw_env": ["A=1"]})"},
      {"workers = None", "{}"},
      {"wsgi_app = 'app:app'", R"({"wsgi_app": "app:app"})"},
      {"secure_scheme_headers = {'X-SCHEME': 'https'}",
       R"({"secure_scheme_headers": {"X-SCHEME": "https"}})"},
      {"secure_scheme_headers = {}", R"({"secure_scheme_headers": {}})"},
      {"proxy_protocol = True", R"({"proxy_protocol": true})"},
      {"forwarded_allow_ips = ['10.0.0.0/8', '::1']",
       R"({"forwarded_allow_ips": ["10.0.0.0/8", "::1"]})"},
      {"import os\n_x = 1\ndef helper(): pass\nWORKERS = 3\nunknown = object()", "{}"},
      {"# -*- coding: latin-1 -*-\nproc_name = '\xe4'", R"({"proc_name": "ä"})"},
      {"import os.path\nchdir = os.path.dirname(__file__)", R"({"chdir": ""})"},
  };
  for (const auto& [source, values] : cases) {
    folder_.Write("gunicorn.conf.py", source);
    EXPECT_EQ(json::parse(values), Values("gunicorn.conf.py")) << source;
  }
}

TEST_F(ConfigFileTest, RefusesValuesNoSettingHas) {
  for (const char* source :
       {"workers = {1}", "bind = [1]", "bind = ['\\udcff']", "timeout = float('nan')",
        "worker_class = object", "workers = 10 ** 30", "secure_scheme_headers = {'A': 1}",
        "secure_scheme_headers = {1: 'A'}", "secure_scheme_headers = {'A': ['B']}",
        "secure_scheme_headers = {'\\udcff': ''}"}) {
    folder_.Write("bad.py", source);
    const auto file = LoadConfigFile("bad.py");
    ASSERT_FALSE(file.ok()) << source;
    EXPECT_THAT(file.error().message, HasSubstr("invalid value "));
    EXPECT_THAT(file.error().message, HasSubstr("(bad.py)"));
    EXPECT_EQ(exit_code::kConfig, file.error().exit_code);
  }
}

TEST_F(ConfigFileTest, WarnsOfWhatGunidDoesNotSupport) {
  folder_.Write("gunicorn.conf.py",
                "syslog = True\nspew = False\nheader_map = 'drop'\ndef on_exit(server): pass\n");
  const auto file = LoadConfigFile("");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ("gunicorn.conf.py", file->layer.origin);
  EXPECT_THAT(file->warnings, ElementsAre("syslog is not supported and is ignored",
                                          "on_exit is not supported and is ignored"));
}

TEST_F(ConfigFileTest, NeedsNoDefaultFile) {
  const auto file = LoadConfigFile("");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ("{}", file->layer.values);
  EXPECT_THAT(file->warnings, IsEmpty());
}

TEST_F(ConfigFileTest, TakesGunicornsLocations) {
  folder_.Write("settings_module.py", "workers = 3");
  for (const char* path : {"settings_module.py", "file:settings_module.py", "./settings_module.py",
                           "python:settings_module"}) {
    EXPECT_EQ(json({{"workers", 3}}), Values(path)) << path;
  }
}

TEST_F(ConfigFileTest, StaysAliveAsAModule) {
  folder_.Write("gunicorn.conf.py", "answer = 42");
  ASSERT_TRUE(LoadConfigFile("").ok());
  Snippet snippet("import sys");
  EXPECT_EQ("42", snippet.Eval("sys.modules['__config__'].answer"));
}

TEST_F(ConfigFileTest, StartsFromAFreshModule) {
  folder_.Write("gunicorn.conf.py", "workers = 3");
  folder_.Write("other.py", "threads = 2");
  ASSERT_TRUE(LoadConfigFile("").ok());
  EXPECT_EQ(json({{"threads", 2}}), Values("other.py"));
}

TEST_F(ConfigFileTest, ReportsFailures) {
  folder_.Write("raises.py", "def f():\n  1/0\nf()\n");
  folder_.Write("syntax.py", "workers = = 1\n");
  folder_.Write("exits.py", "import sys\nsys.exit(0)\n");
  folder_.Write("nul.py", std::string("workers = 1\0", 12));
  const struct {
    const char* path;
    const char* message;
    const char* detail;
  } cases[] = {
      {"missing.py", "configuration file 'missing.py' does not exist", ""},
      {".", "configuration file '.' is a directory", ""},
      {"raises.py", "configuration file 'raises.py' failed: ZeroDivisionError", "line 2, in f"},
      {"syntax.py", "SyntaxError: invalid syntax", "workers = = 1"},
      {"exits.py", "configuration file 'exits.py' failed: SystemExit: 0", "sys.exit(0)"},
      {"nul.py", "configuration file 'nul.py' failed", "null bytes"},
      {"python:nope", "ModuleNotFoundError: No module named 'nope'", ""},
  };
  for (const auto& [path, message, detail] : cases) {
    const auto file = LoadConfigFile(path);
    ASSERT_FALSE(file.ok()) << path;
    EXPECT_THAT(file.error().message, HasSubstr(message));
    EXPECT_THAT(file.error().detail, HasSubstr(detail));
    EXPECT_EQ(exit_code::kConfig, file.error().exit_code);
  }
}

}  // namespace
}  // namespace gunid
