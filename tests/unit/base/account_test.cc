#include "base/account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace gunid {
namespace {

using testing::HasSubstr;

TEST(FindAccount, NothingIsAskedFor) {
  const auto account = FindAccount("", "", false);
  ASSERT_TRUE(account);
  EXPECT_FALSE(*account);
}

TEST(FindAccount, WhatTheProcessIsAlreadyIsNoChange) {
  const auto account = FindAccount(std::to_string(geteuid()), std::to_string(getegid()), false);
  ASSERT_TRUE(account) << account.error().message;
  EXPECT_FALSE(*account);
}

TEST(FindAccount, NamesWhatThereIsNot) {
  EXPECT_EQ(FindAccount("no-such-user", "", false).error().message,
            "there is no user 'no-such-user' (user)");
  EXPECT_EQ(FindAccount("", "no-such-group", false).error().message,
            "there is no group 'no-such-group' (group)");
  EXPECT_FALSE(FindAccount("4294967295", "", false));  // the kernel's "no change"
  EXPECT_FALSE(FindAccount("-1", "", false));
}

TEST(FindAccount, AUserWithoutAGroupHasHisOwn) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const passwd* nobody = getpwnam("nobody");
  ASSERT_NE(nobody, nullptr);
  const auto account = FindAccount("nobody", "", false);
  ASSERT_TRUE(account) << account.error().message;
  EXPECT_EQ(**account, (Account{nobody->pw_uid, nobody->pw_gid, "nobody", false}));
  EXPECT_EQ((*FindAccount("nobody", "0", false))->gid, 0U);
}

TEST(FindAccount, ANumberThatNoUserHasNeedsAGroup) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  EXPECT_THAT(FindAccount("54321", "", false).error().message, HasSubstr("group is needed"));
  const auto account = FindAccount("54321", "54322", false);
  ASSERT_TRUE(account);
  EXPECT_EQ(**account, (Account{54321, 54322, "", false}));
  EXPECT_THAT(FindAccount("54321", "1", true).error().message, HasSubstr("initgroups"));
}

// In a child: 0 if all is as it should be, otherwise the line that is not.
int BecomeNobodyAndLook() {
  const auto account = FindAccount("nobody", "", false);
  if (!account || !*account || !BecomeAccount(**account)) return 1;
  gid_t groups[8];
  if (getgroups(8, groups) != 1 || groups[0] != (*account)->gid) return 2;
  uid_t real = 0, effective = 0, saved = 0;
  getresuid(&real, &effective, &saved);
  if (real != (*account)->uid || effective != real || saved != real) return 3;
  if (setuid(0) == 0 || access("/proc/self/environ", R_OK) != 0) return 4;
  const auto root = FindAccount("root", "", false);
  return root || root.error().message.find("not started as root") == std::string::npos ? 5 : 0;
}

TEST(BecomeAccount, LeavesNothingOfRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const pid_t child = fork();
  if (child == 0) _exit(BecomeNobodyAndLook());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << WEXITSTATUS(status);
}

}  // namespace
}  // namespace gunid
