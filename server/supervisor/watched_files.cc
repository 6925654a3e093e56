#include "supervisor/watched_files.h"

#include <fnmatch.h>

#include <algorithm>
#include <utility>

namespace gunid {
namespace {

constexpr std::string_view kAnyDirectories = "**";

struct Split {
  std::string_view first;
  std::optional<std::string_view> rest;  // nullopt: there was no slash
};

Split AtSlash(std::string_view path) {
  const auto slash = path.find('/');
  if (slash == std::string_view::npos) return {path, std::nullopt};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

bool MatchesName(std::string_view pattern, std::string_view name) {
  return fnmatch(std::string(pattern).c_str(), std::string(name).c_str(), FNM_PERIOD) == 0;
}

std::pair<std::string, std::string> DirectoryAndName(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

std::string PathOf(const std::string& directory, const std::string& name) {
  return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

}  // namespace

bool MatchesGlob(std::string_view pattern, std::string_view path) {
  const Split wanted = AtSlash(pattern);
  const Split found = AtSlash(path);
  if (wanted.first == kAnyDirectories) {
    if (!wanted.rest) return true;  // at the end: everything below
    if (MatchesGlob(*wanted.rest, path)) return true;
    return found.rest && !found.first.starts_with('.') && MatchesGlob(pattern, *found.rest);
  }
  if (wanted.rest.has_value() != found.rest.has_value()) return false;
  if (!MatchesName(wanted.first, found.first)) return false;
  return !wanted.rest || MatchesGlob(*wanted.rest, *found.rest);
}

bool IsGlob(std::string_view pattern) {
  return pattern.find_first_of("*?[") != std::string_view::npos;
}

std::string GlobBase(std::string_view pattern) {
  const auto slash = pattern.substr(0, pattern.find_first_of("*?[")).rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(pattern.substr(0, slash));
}

bool IsTemporaryName(std::string_view name) {
  return name.starts_with('.') || name.starts_with('#') || name.ends_with('~') ||
         name.starts_with("flycheck_") || name == "__pycache__" || name == "node_modules";
}

std::vector<std::string> FilesInTraceback(std::string_view traceback) {
  constexpr std::string_view kFile = "File \"";
  std::vector<std::string> files;
  for (auto at = traceback.find(kFile); at != std::string_view::npos;
       at = traceback.find(kFile, at)) {
    at += kFile.size();
    const auto end = traceback.find_first_of("\"\n", at);
    if (end == std::string_view::npos) break;
    // "<string>" and "<frozen importlib._bootstrap>" are none.
    if (traceback[end] == '"' && traceback[at] == '/') {
      files.emplace_back(traceback.substr(at, end - at));
    }
    at = end;
  }
  return files;
}

bool WatchedFiles::AddFile(const std::string& path) {
  if (!files_.insert(path).second) return false;
  directories_.insert(DirectoryAndName(path).first);
  return true;
}

bool WatchedFiles::AddDirectory(const std::string& path) {
  return directories_.insert(path).second;
}

bool WatchedFiles::Matters(const std::string& directory, const std::string& name) const {
  const std::string path = PathOf(directory, name);
  if (files_.contains(path)) return true;
  if (IsTemporaryName(name)) return false;
  if (name.ends_with(".py") && directories_.contains(directory)) return true;
  for (const std::string& pattern : patterns_) {
    if (MatchesGlob(pattern, path)) return true;
  }
  return false;
}

void ChangeDebounce::Changed(const std::string& path, TimePoint now) {
  last_ = now;
  if (first_) return;
  first_ = now;
  path_ = path;
}

std::optional<TimePoint> ChangeDebounce::due() const {
  if (!first_) return std::nullopt;
  return std::min<TimePoint>(last_ + kQuiet, *first_ + kLongest);
}

std::optional<std::string> ChangeDebounce::Take(TimePoint now) {
  if (!first_ || now < *due()) return std::nullopt;
  first_.reset();
  return std::exchange(path_, "");
}

}  // namespace gunid
