// Ends the program where what is tested breaks a promise that no input may make it break.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace gunid {

inline void RequireContract(bool holds, const char* contract) {
  if (holds) return;
  std::fprintf(stderr, "broken contract: %s\n", contract);
  std::abort();
}

}  // namespace gunid
