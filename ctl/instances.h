// Finds running servers by their sockets in the control directories. A stale socket is no server; a
// directory that another user could write to is not looked into.
#pragma once

#include <string>
#include <vector>

namespace gunid {

struct Instance {
  std::string name;
  std::string socket;
};

// Sorted by name.
std::vector<Instance> FindInstances(const std::vector<std::string>& directories);

// The socket that a command line means, or the one line (or, for several instances, list) that says
// why there is none.
struct SocketChoice {
  std::string socket;  // "" if there is none
  int exit_code = 0;   // then
  std::string error;   // then
};
SocketChoice ChooseSocket(const std::string& socket, const std::string& name,
                          const std::vector<std::string>& directories);

}  // namespace gunid
