#include "python/app_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gunid/exit_codes.h"
#include "python/python_fixture.h"

namespace gunid {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kModule[] = R"(
def application(environ, start_response): pass
other = application
def factory(*args, **kwargs):
    def app(environ, start_response): pass
    app.arguments = (args, sorted(kwargs.items()))
    return app
def broken(): raise ValueError("no database")
def nothing(): pass
number = 3
class namespace:
    app = application
)";

class AppLoaderTest : public ::testing::Test {
 protected:
  AppLoaderTest() { folder_.Write("loader_app.py", kModule); }
  const TemporaryFolder folder_;
};

TEST_F(AppLoaderTest, FindsCallables) {
  for (const char* specification : {"loader_app", "loader_app:application", "loader_app:other"}) {
    const auto app = LoadApp(specification);
    ASSERT_TRUE(app.ok()) << app.error().message;
    Snippet snippet("");
    snippet.Set("app", *app);
    EXPECT_EQ("application", snippet.Eval("app.__name__")) << specification;
  }
}

TEST_F(AppLoaderTest, CallsFactoriesWithLiterals) {
  const struct {
    const char* call;
    const char* arguments;
  } cases[] = {
      {"factory()", "((), [])"},
      {"factory('x', -1, n=1.5)", "(('x', -1), [('n', 1.5)])"},
      {"factory([1, {'a': (True, None)}])", "(([1, {'a': (True, None)}],), [])"},
      {"factory('a:b')", "(('a:b',), [])"},
  };
  for (const auto& [call, arguments] : cases) {
    const auto app = LoadApp(std::string("loader_app:") + call);
    ASSERT_TRUE(app.ok()) << call << ": " << app.error().message;
    Snippet snippet("");
    snippet.Set("app", *app);
    EXPECT_EQ(arguments, snippet.Eval("app.arguments")) << call;
  }
}

TEST_F(AppLoaderTest, RefusesWhatIsNoApplication) {
  const struct {
    const char* specification;
    const char* message;
  } cases[] = {
      {"loader_app:missing", "Failed to find attribute 'missing' in 'loader_app'."},
      {"loader_app:number",
       "Application object must be callable: 'number' in 'loader_app' is of type int"},
      {"loader_app:nothing()", "Failed to find application object: 'nothing()'"},
      {"loader_app:namespace.app",
       "Failed to parse 'namespace.app' as an attribute name or function call."},
      {"loader_app:", "Failed to parse '' as an attribute name or function call."},
      {"loader_app:a b", "Failed to parse 'a b' as an attribute name or function call."},
      {"loader_app:namespace.app()", "Function reference must be a simple name: 'namespace.app()'"},
      {"loader_app:factory(open)", "Failed to parse arguments as literal values: 'factory(open)'"},
      {"loader_app:factory(n=1+x)", "Failed to parse arguments as literal values"},
      {"loader_app:factory(*[1])", "Failed to parse arguments as literal values"},
      {"loader_app:factory(**{})", "Failed to parse arguments as literal values"},
      {"", "No application module specified"},
      {":application", "No application module specified"},
      {"loader_app:factory.__class__", "Failed to parse"},
  };
  for (const auto& [specification, message] : cases) {
    const auto app = LoadApp(specification);
    ASSERT_FALSE(app.ok()) << specification;
    EXPECT_THAT(app.error().message, HasSubstr(message)) << specification;
    EXPECT_EQ(exit_code::kAppLoadError, app.error().exit_code) << specification;
    EXPECT_EQ(nullptr, PyErr_Occurred());
  }
}

TEST_F(AppLoaderTest, ReportsAFactoryThatRaises) {
  const auto app = LoadApp("loader_app:broken()");
  ASSERT_FALSE(app.ok());
  EXPECT_EQ("application factory 'broken()' failed: ValueError: no database", app.error().message);
  EXPECT_EQ(exit_code::kAppLoadError, app.error().exit_code);
  EXPECT_THAT(app.error().detail, HasSubstr("in broken"));
}

TEST_F(AppLoaderTest, ReportsMissingModules) {
  const struct {
    const char* specification;
    const char* message;
  } cases[] = {
      {"nope", "cannot import 'nope': No module named 'nope'"},
      {"nope.sub:app", "cannot import 'nope.sub': No module named 'nope'"},
      {"loader_app.sub:app",
       "cannot import 'loader_app.sub': No module named 'loader_app.sub'; 'loader_app' is not a "
       "package"},
      {"loader_app.py", "cannot import 'loader_app.py': did you mean 'loader_app:application'?"},
      {"loader_app.py:other", "cannot import 'loader_app.py': did you mean 'loader_app:other'?"},
  };
  for (const auto& [specification, message] : cases) {
    const auto app = LoadApp(specification);
    ASSERT_FALSE(app.ok()) << specification;
    EXPECT_EQ(message, app.error().message);
    EXPECT_EQ("", app.error().detail);
    EXPECT_EQ(exit_code::kBootError, app.error().exit_code);
  }
}

TEST_F(AppLoaderTest, ReportsModulesThatRaise) {
  const struct {
    const char* source;
    const char* message;
    const char* detail;
  } cases[] = {
      {"import missing_dependency",
       "cannot import 'bad_app': ModuleNotFoundError: No module named 'missing_dependency'",
       "line 1, in <module>\n    import missing_dependency"},
      {"def f(:\n  pass", "SyntaxError", "    def f(:\n          ^"},
      {"raise SystemExit(0)", "cannot import 'bad_app': SystemExit: 0", "raise SystemExit(0)"},
      {"raise KeyboardInterrupt", "cannot import 'bad_app': KeyboardInterrupt", "in <module>"},
      {"1/0", "cannot import 'bad_app': ZeroDivisionError: division by zero", "bad_app.py"},
  };
  for (const auto& [source, message, detail] : cases) {
    const TemporaryFolder folder;
    folder.Write("bad_app.py", source);
    const auto app = LoadApp("bad_app:app");
    ASSERT_FALSE(app.ok()) << source;
    EXPECT_EQ(exit_code::kBootError, app.error().exit_code);
    EXPECT_THAT(app.error().message, HasSubstr(message));
    EXPECT_THAT(app.error().detail, HasSubstr(detail));
    EXPECT_THAT(app.error().detail, Not(HasSubstr("importlib"))) << source;
  }
}

}  // namespace
}  // namespace gunid
