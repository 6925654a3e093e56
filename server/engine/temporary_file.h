// Unnamed temporary files for what does not fit into memory: bodies of requests and responses. In
// $TMPDIR or /tmp; the system frees them with their descriptor, whatever happens to the process.
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace gunid {

Result<UniqueFd> OpenTemporaryFile();

// Writes all of `bytes` from `offset` on.
Status WriteAt(int file, std::string_view bytes, off_t offset);

}  // namespace gunid
