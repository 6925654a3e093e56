#include "base/account.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <limits>
#include <vector>

namespace gunid {
namespace {

// getpwnam_r and its like need a buffer of unknown size.
template <class Entry, class Look>
bool LookUp(Entry& entry, std::vector<char>& buffer, Look look) {
  for (buffer.resize(4096);; buffer.resize(buffer.size() * 2)) {
    Entry* found = nullptr;
    const int failed = look(&entry, buffer.data(), buffer.size(), &found);
    if (failed == ERANGE && buffer.size() < (1U << 20)) continue;
    return found != nullptr;
  }
}

// nullopt if the text is no number; the last one means "no change" to the kernel.
std::optional<std::uint32_t> Number(const std::string& text) {
  std::uint32_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || number == std::numeric_limits<std::uint32_t>::max())
    return std::nullopt;
  return number;
}

struct User {
  uid_t uid = 0;
  std::optional<gid_t> gid;  // that user's; none for a number that no user has
  std::string name;
};

Result<User> FindUser(const std::string& text) {
  const auto number = Number(text);
  passwd entry{};
  std::vector<char> buffer;
  const bool found = LookUp(entry, buffer, [&](auto... rest) {
    return number ? getpwuid_r(*number, rest...) : getpwnam_r(text.c_str(), rest...);
  });
  if (found) return User{entry.pw_uid, entry.pw_gid, entry.pw_name};
  if (number) return User{*number, std::nullopt, ""};
  return Error{"there is no user '" + text + "' (user)"};
}

Result<gid_t> FindGroup(const std::string& text) {
  if (const auto number = Number(text)) return gid_t{*number};
  group entry{};
  std::vector<char> buffer;
  const bool found =
      LookUp(entry, buffer, [&](auto... rest) { return getgrnam_r(text.c_str(), rest...); });
  if (found) return entry.gr_gid;
  return Error{"there is no group '" + text + "' (group)"};
}

}  // namespace

Result<std::optional<Account>> FindAccount(const std::string& user, const std::string& group,
                                           bool initgroups) {
  if (user.empty() && group.empty()) return std::optional<Account>();
  Account account{.uid = geteuid(), .gid = getegid(), .initgroups = initgroups};
  std::optional<gid_t> gid;
  if (!user.empty()) {
    auto found = FindUser(user);
    if (!found) return found.error();
    account.uid = found->uid;
    account.name = found->name;
    gid = found->gid;
  } else {
    gid = getegid();
    if (auto self = FindUser(std::to_string(account.uid))) account.name = self->name;
  }
  if (!group.empty()) {
    auto found = FindGroup(group);
    if (!found) return found.error();
    gid = *found;
  }
  if (!gid) {
    return Error{"user " + user + " is in no list of users, so a group is needed (group)"};
  }
  account.gid = *gid;
  if (initgroups && account.name.empty())
    return Error{"user " + user + " is in no list of users, so it has no groups (initgroups)"};
  if (account.uid == geteuid() && account.gid == getegid()) return std::optional<Account>();
  if (geteuid() != 0) {
    return Error{"cannot run as user '" + user + "', group '" + group +
                 "': gunid was not started as root"};
  }
  return std::optional<Account>(std::move(account));
}

Status BecomeAccount(const Account& account) {
  const int failed = account.initgroups ? initgroups(account.name.c_str(), account.gid)
                                        : setgroups(1, &account.gid);
  if (failed != 0 || setresgid(account.gid, account.gid, account.gid) != 0 ||
      setresuid(account.uid, account.uid, account.uid) != 0) {
    return Errno("cannot become user " + std::to_string(account.uid) + ", group " +
                 std::to_string(account.gid));
  }
  if (account.uid != 0 && setuid(0) == 0) return Error{"the process can become root again"};
  // The change has made the files of /proc/self root's, and core dumps impossible.
  prctl(PR_SET_DUMPABLE, 1);
  return {};
}

}  // namespace gunid
