// Ways in which an input arrives.
#pragma once

#include <algorithm>
#include <cstddef>
#include <random>
#include <string_view>
#include <vector>

namespace gunid {

using Pieces = std::vector<std::string_view>;

inline Pieces CutEvery(std::string_view input, std::size_t size) {
  Pieces pieces;
  for (std::size_t start = 0; start < input.size(); start += size)
    pieces.push_back(input.substr(start, size));
  return pieces;
}

// The same seed cuts alike. Most pieces are small, so that many cuts fall inside of lines.
inline Pieces CutAtRandom(std::string_view input, unsigned seed) {
  std::minstd_rand random(seed);
  Pieces pieces;
  while (!input.empty()) {
    const std::size_t longest = random() % 4 == 0 ? 64 : 6;
    const std::size_t size = std::min<std::size_t>(1 + random() % longest, input.size());
    pieces.push_back(input.substr(0, size));
    input.remove_prefix(size);
  }
  return pieces;
}

}  // namespace gunid
