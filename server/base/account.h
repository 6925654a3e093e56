// The user and groups that the application runs as (--user, --group, --initgroups). Any process;
// giving up privileges is for one that has one thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"

namespace gunid {

struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name;         // of the user; "" for a number that no user has
  bool initgroups = false;  // with the supplementary groups of the user, otherwise with none

  bool operator==(const Account&) const = default;
};

// What is asked for by names or numbers; "" leaves the user as it is, and the group as it is or, if
// there is a user, to that user's. nullopt: nothing is asked for that the process is not already.
// An error if there is no such user or group, or if the process may not change.
Result<std::optional<Account>> FindAccount(const std::string& user, const std::string& group,
                                           bool initgroups);

// For good: there is no way back to root. The signal at the parent's death (PR_SET_PDEATHSIG) is
// lost by that.
Status BecomeAccount(const Account& account);

}  // namespace gunid
