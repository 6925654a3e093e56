#include "python/interpreter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "gunid/exit_codes.h"
#include "python/python_fixture.h"

#ifdef __SANITIZE_ADDRESS__
// What the interpreter itself never frees.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libpython3\nleak:/python3.*/lib-dynload/\n";
}
#endif

namespace gunid {
namespace {

using ::testing::HasSubstr;

constexpr char kVenvVariable[] = "GUNID_TEST_VENV";

class PythonEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    const char* venv = std::getenv(kVenvVariable);
    const Status status = InitializePython(venv != nullptr ? venv : "");
    ASSERT_TRUE(status.ok()) << status.error().message;
  }
};

const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new PythonEnvironment);

TEST(Interpreter, LooksLikeThePythonItWasBuiltWith) {
  Snippet snippet("import subprocess, sys");
  EXPECT_EQ("['gunid']", snippet.Eval("sys.argv"));
  // multiprocessing and others start it.
  EXPECT_EQ(snippet.Eval("repr((sys.version, sys.prefix))"),
            snippet.Eval("subprocess.check_output([sys.executable, '-c', 'import sys; "
                         "print((sys.version, sys.prefix), end=\"\")'], text=True)"));
}

TEST(Interpreter, LeavesInterruptToTheProgram) {
  Snippet snippet("import signal, subprocess, asyncio");
  struct sigaction action {};
  sigaction(SIGINT, nullptr, &action);
  EXPECT_EQ(SIG_DFL, action.sa_handler);
}

TEST(Interpreter, SearchesPythonPathThenTheDirectory) {
  Snippet snippet("import sys\nsaved = list(sys.path)");
  ASSERT_TRUE(SetSearchPath("/srv/app", "/a,/b/,/a,").ok());
  EXPECT_EQ("True", snippet.Eval("sys.path == ['/a', '/b', '/srv/app'] + saved"));
  ASSERT_TRUE(SetSearchPath("/b", "").ok());
  EXPECT_EQ("['/b', '/a', '/srv/app']", snippet.Eval("sys.path[:3]"));
  snippet.Exec("sys.path[:] = saved");
}

TEST(Interpreter, SetsTheEnvironment) {
  ASSERT_TRUE(SetEnvironment({"GUNID_A=1=2", "GUNID_B="}).ok());
  Snippet snippet("import os");
  EXPECT_EQ("('1=2', '')", snippet.Eval("(os.environ['GUNID_A'], os.environ['GUNID_B'])"));
  EXPECT_STREQ("1=2", ::getenv("GUNID_A"));
}

TEST(Interpreter, RefusesMalformedEnvironmentEntries) {
  for (const char* entry : {"NAME", "=value", ""}) {
    const Status status = SetEnvironment({entry});
    ASSERT_FALSE(status.ok()) << entry;
    EXPECT_THAT(status.error().message, HasSubstr("expected NAME=VALUE"));
    EXPECT_EQ(exit_code::kConfig, status.error().exit_code);
  }
}

TEST(Interpreter, FreezesGarbage) {
  Snippet snippet("import gc");
  DisableGarbageCollection();
  EXPECT_EQ("False", snippet.Eval("gc.isenabled()"));
  FreezeGarbageCollection();
  EXPECT_EQ("True", snippet.Eval("gc.get_freeze_count() > 0"));
  EnableGarbageCollection();
  EXPECT_EQ("True", snippet.Eval("gc.isenabled()"));
  snippet.Exec("gc.unfreeze()");
}

TEST(Interpreter, DumpsStacksOnAbort) {
  int pipe_fds[2];
  ASSERT_EQ(0, ::pipe(pipe_fds));
  const pid_t child = ::fork();
  if (child == 0) {
    if (!DumpStacksOnAbort(pipe_fds[1]).ok()) _exit(1);
    Snippet snippet("import os\ndef stuck():\n  os.abort()\nstuck()");
    _exit(2);
  }
  ::close(pipe_fds[1]);
  std::string dump;
  char buffer[1024];
  for (ssize_t got; (got = ::read(pipe_fds[0], buffer, sizeof buffer)) > 0;) {
    dump.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(pipe_fds[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
  EXPECT_THAT(dump, HasSubstr("in stuck"));
}

TEST(Interpreter, RefusesForeignVirtualEnvironments) {
  const TemporaryFolder folder;
  const struct {
    std::string config;
    std::string message;
  } cases[] = {
      {"home = /usr/bin\nversion = 2.7.1\n", "was made by Python 2.7.1 in '/usr/bin'"},
      {"home = /opt/python/bin\nversion_info = " + std::to_string(PY_MAJOR_VERSION) + "." +
           std::to_string(PY_MINOR_VERSION) + ".99.final.0\n",
       ".99.final.0 in '/opt/python/bin'"},
      {"home = /usr/bin\n", "Python of unknown version"},
  };
  for (const auto& [config, message] : cases) {
    folder.Write("venv/pyvenv.cfg", config);
    const Status status = InitializePython(folder.path() / "venv");
    ASSERT_FALSE(status.ok()) << config;
    EXPECT_THAT(status.error().message, HasSubstr(message));
  }
  const Status status = InitializePython(folder.path() / "none");
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("is not a virtual environment"));
}

// In a process of its own, because an interpreter is configured once: this program runs itself
// again.
TEST(Interpreter, UsesAFittingVirtualEnvironment) {
  Snippet snippet("import os, subprocess, sys");
  if (const char* venv = std::getenv(kVenvVariable)) {
    EXPECT_EQ(venv, snippet.Eval("sys.prefix"));
    EXPECT_EQ(std::string(venv) + "/bin/python3", snippet.Eval("sys.executable"));
    EXPECT_EQ("True", snippet.Eval("any(p.startswith(sys.prefix) for p in sys.path)"));
    return;
  }
  const TemporaryFolder folder;
  snippet.Exec(
      "venv = os.getcwd() + '/venv'\n"
      "made = subprocess.call([sys.executable, '-m', 'venv', '--without-pip', venv])\n");
  ASSERT_EQ("0", snippet.Eval("made"));
  EXPECT_EQ(
      "0", snippet.Eval("subprocess.call(['/proc/%d/exe' % os.getpid(), '--gtest_filter="
                        "Interpreter.UsesAFittingVirtualEnvironment'], "
                        "env={**os.environ, 'GUNID_TEST_VENV': venv}, stdout=subprocess.DEVNULL)"));
}

}  // namespace
}  // namespace gunid
