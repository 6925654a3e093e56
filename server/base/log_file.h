// A file that several processes append lines to, or one of the standard streams in its place. The
// descriptor keeps its number for the life of the object, whatever is behind it, and is not inherited
// by other programs. Used by one thread at a time; only writes to fd() may come from others.
#pragma once

#include <optional>
#include <string>

#include "base/account.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace gunid {

class LogFile {
 public:
  // `stream`: the descriptor that the path "-" stands for.
  explicit LogFile(int stream) : stream_(stream), path_("-") {}

  // May be called again; on failure all stays as it was. `owner`: who has to be able to open the file,
  // too: it is given to that account. For a process that runs as root.
  Status Open(const std::string& path, const std::optional<Account>& owner = std::nullopt);
  // The same path anew, after the file was rotated away. Does nothing for a stream.
  Status Reopen();

  [[nodiscard]] int fd() const { return fd_.get(); }  // -1 before Open()

 private:
  bool PointAt(int fd);

  int stream_;
  std::string path_;
  std::optional<Account> owner_;
  UniqueFd fd_;
};

}  // namespace gunid
