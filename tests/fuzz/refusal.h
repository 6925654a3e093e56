// What any refusal of input has to be like, whatever the input.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "support/contract.h"

namespace gunid {

// There are so many different ones at most. If one had bytes of the input in it, there would soon
// be more.
inline constexpr std::size_t kMostReasons = 100;

inline void RequireCleanReason(std::string_view reason) {
  static std::set<std::string, std::less<>> reasons;
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  RequireContract(!reason.empty() && std::all_of(reason.begin(), reason.end(), printable),
                  "a reason is one line of text");
  if (!reasons.contains(reason)) reasons.emplace(reason);
  RequireContract(reasons.size() <= kMostReasons, "a reason has no bytes of the input");
}

}  // namespace gunid
