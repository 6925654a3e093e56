#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace gunid {
namespace {

Result<std::unique_ptr<int>> Half(int number) {
  if (number % 2 != 0) return Error{"odd", 2, "detail"};
  return std::make_unique<int>(number / 2);
}

TEST(Result, HoldsAValue) {
  auto half = Half(8);
  ASSERT_TRUE(half);
  EXPECT_TRUE(half.ok());
  const std::unique_ptr<int> taken = std::move(*half);
  EXPECT_EQ(*taken, 4);
}

TEST(Result, HoldsAnError) {
  const auto half = Half(7);
  ASSERT_FALSE(half);
  EXPECT_EQ(half.error().message, "odd");
  EXPECT_EQ(half.error().exit_code, 2);
  EXPECT_EQ(half.error().detail, "detail");
}

TEST(Status, IsFineByDefault) {
  EXPECT_TRUE(Status().ok());
  const Status failed = Error{"no"};
  EXPECT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "no");
  EXPECT_EQ(failed.error().exit_code, 1);
}

TEST(Errno, AppendsTheSystemsText) {
  EXPECT_EQ(Errno("bind 0.0.0.0:80", EACCES).message, "bind 0.0.0.0:80: Permission denied");
  errno = ENOENT;
  EXPECT_EQ(Errno("open x").message, "open x: No such file or directory");
}

}  // namespace
}  // namespace gunid
