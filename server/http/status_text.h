// Reason phrases (RFC 9110 section 15) and the small error page that the engine answers by itself.
#pragma once

#include <string>
#include <string_view>

namespace gunid {

// "Not Found"; "" for a status without a phrase of its own.
std::string_view ReasonPhrase(int status);

// An HTML body naming the status and `detail` (escaped; may be empty).
std::string ErrorPage(int status, std::string_view detail);

}  // namespace gunid
