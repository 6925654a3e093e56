#include "base/forked_child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace gunid {
namespace {

bool g_restored = false;

// What is true in a forked child, of two descriptors.
struct Seen {
  bool first_open = false;
  bool second_open = false;
  bool restored = false;
};

Seen InChild(int first, int second) {
  const pid_t child = fork();
  if (child == 0) {
    const auto is_open = [](int fd) { return fcntl(fd, F_GETFD) != -1; };
    _exit((is_open(first) ? 1 : 0) + (is_open(second) ? 2 : 0) + (g_restored ? 4 : 0));
  }
  int status = 0;
  waitpid(child, &status, 0);
  const int bits = WEXITSTATUS(status);
  return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
}

TEST(DetachForkedChildren, ClosesWhatIsStillOpenAndNotWhatHasTakenItsNumber) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  EXPECT_FALSE(HasForked());
  DetachForkedChildren({reading.get(), writing.get()}, [] { g_restored = true; });

  Seen seen = InChild(reading.get(), writing.get());
  EXPECT_FALSE(seen.first_open);
  EXPECT_FALSE(seen.second_open);
  EXPECT_TRUE(seen.restored);
  EXPECT_TRUE(HasForked());
  EXPECT_FALSE(InForkedChild());

  // The application's file by now.
  const UniqueFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(dup2(file.get(), writing.get()), writing.get());
  seen = InChild(reading.get(), writing.get());
  EXPECT_FALSE(seen.first_open);
  EXPECT_TRUE(seen.second_open);
}

}  // namespace
}  // namespace gunid
