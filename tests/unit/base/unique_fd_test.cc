#include "base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace gunid {
namespace {

bool IsOpen(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

UniqueFd OpenNull() {
  return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

TEST(UniqueFd, ClosesAtTheEnd) {
  int number = -1;
  {
    const UniqueFd fd = OpenNull();
    number = fd.get();
    ASSERT_TRUE(fd);
    EXPECT_TRUE(IsOpen(number));
  }
  EXPECT_FALSE(IsOpen(number));
}

TEST(UniqueFd, MovesOwnership) {
  UniqueFd first = OpenNull();
  const int number = first.get();
  UniqueFd second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(second.get(), number);
  second = OpenNull();
  EXPECT_FALSE(IsOpen(number));
  EXPECT_TRUE(IsOpen(second.get()));
}

TEST(UniqueFd, SurvivesMoveToItself) {
  UniqueFd fd = OpenNull();
  UniqueFd& alias = fd;
  fd = std::move(alias);
  ASSERT_TRUE(fd);
  EXPECT_TRUE(IsOpen(fd.get()));
}

TEST(UniqueFd, ReleaseLeavesItOpen) {
  UniqueFd fd = OpenNull();
  const int number = fd.Release();
  EXPECT_FALSE(fd);
  EXPECT_TRUE(IsOpen(number));
  fd.Reset(number);
  fd.Reset();
  EXPECT_FALSE(IsOpen(number));
}

}  // namespace
}  // namespace gunid
