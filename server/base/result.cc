#include "base/result.h"

#include <cstring>

namespace gunid {

Error Errno(const std::string& context, int errno_value) {
  char buffer[256];
  return Error{context + ": " + strerror_r(errno_value, buffer, sizeof buffer)};
}

}  // namespace gunid
