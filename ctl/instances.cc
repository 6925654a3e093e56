#include "ctl/instances.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "gunid/control_paths.h"
#include "gunid/exit_codes.h"

namespace gunid {

namespace {

namespace fs = std::filesystem;

bool IsTrusted(const std::string& directory) {
  struct stat info;
  return lstat(directory.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
         (info.st_uid == geteuid() || info.st_uid == 0) && (info.st_mode & S_IWOTH) == 0;
}

std::string Join(const std::vector<std::string>& parts) {
  std::string joined;
  for (const std::string& part : parts) joined += (joined.empty() ? "" : ", ") + part;
  return joined;
}

SocketChoice List(const std::vector<Instance>& instances) {
  std::string text = "several servers are running; choose one by --name or --socket:";
  for (const Instance& instance : instances)
    text += "\n  " + instance.name + "  " + instance.socket;
  return {.exit_code = ctl_exit::kUsage, .error = text};
}

}  // namespace

std::vector<Instance> FindInstances(const std::vector<std::string>& directories) {
  std::vector<Instance> instances;
  for (const std::string& directory : directories) {
    if (!IsTrusted(directory)) continue;
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
      const fs::path& path = entry->path();
      if (path.extension() == kControlSocketSuffix && ProbeControlSocket(path.string()) == 0) {
        instances.push_back({path.stem().string(), path.string()});
      }
    }
  }
  std::sort(instances.begin(), instances.end(), [](const Instance& a, const Instance& b) {
    return std::tie(a.name, a.socket) < std::tie(b.name, b.socket);
  });
  return instances;
}

SocketChoice ChooseSocket(const std::string& socket, const std::string& name,
                          const std::vector<std::string>& directories) {
  if (!socket.empty()) {
    std::error_code error;
    const fs::path absolute = fs::absolute(socket, error);
    return {.socket = error ? socket : absolute.string()};
  }
  std::vector<Instance> instances = FindInstances(directories);
  if (!name.empty()) {
    const std::string wanted = ControlSocketName(name);
    std::erase_if(instances, [&](const Instance& instance) { return instance.name != wanted; });
  }
  if (instances.size() == 1) return {.socket = instances.front().socket};
  if (!instances.empty()) return List(instances);
  return {.exit_code = ctl_exit::kCannotConnect,
          .error = (name.empty() ? "no running gunid found"
                                 : "no running gunid named " + name + " found") +
                   std::string(" in ") + Join(directories)};
}

}  // namespace gunid
