// What is in a file; nothing for one that is not there.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace gunid {

inline std::string FileContents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace gunid
