#include "zygote/double_fork.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "python/interpreter.h"
#include "python/py_ref.h"

namespace gunid {
namespace {

class DoubleForkTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(InitializePython(""));
    ASSERT_EQ(
        PyRun_SimpleString("import os\n"
                           "calls = []\n"
                           "os.register_at_fork(before=lambda: calls.append('before'),\n"
                           "                    after_in_parent=lambda: calls.append('parent'),\n"
                           "                    after_in_child=lambda: calls.append('child'))\n"),
        0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
  }
  static void TearDownTestSuite() { FinalizePython(); }

  static bool Holds(const char* assertion) {
    return PyRun_SimpleString((std::string("assert ") + assertion).c_str()) == 0;
  }
};

TEST_F(DoubleForkTest, TheWorkerIsTheSubreapersChildAndHooksRanOnceOnEachSide) {
  const pid_t supervisor = getpid();
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  const pid_t worker = DoubleFork();
  if (worker == 0) {
    char byte = 0;
    const bool told = read(go[0], &byte, 1) == 1;  // sent when the intermediate is gone
    const bool adopted = getppid() == supervisor;
    _exit(told && adopted && Holds("calls == ['before', 'child']") ? 42 : 1);
  }
  ASSERT_GT(worker, 0);
  EXPECT_TRUE(Holds("calls == ['before', 'parent']"));
  ASSERT_EQ(write(go[1], "g", 1), 1);
  int status = 0;
  ASSERT_EQ(waitpid(worker, &status, 0), worker);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 42);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "no other child is left";
  close(go[0]);
  close(go[1]);
}

}  // namespace
}  // namespace gunid
