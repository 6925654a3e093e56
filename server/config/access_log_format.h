// What the setting access_log_format means: the text, taken apart once. Gunicorn's atoms, "%(h)s", as
// Python's % would put them in. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace gunid {

enum class AccessLogAtom {
  kLiteral,        // no atom: text that stands for itself
  kClient,         // h
  kUser,           // u: of Basic authentication
  kTime,           // t
  kRequestLine,    // r
  kMethod,         // m
  kPath,           // U: decoded, without the query
  kQuery,          // q
  kProtocol,       // H
  kStatus,         // s
  kBodyBytes,      // b and B
  kReferer,        // f
  kUserAgent,      // a
  kSeconds,        // T
  kMilliseconds,   // M
  kMicroseconds,   // D
  kDecimal,        // L: seconds with six decimals
  kProcess,        // p
  kRequestField,   // {NAME}i
  kResponseField,  // {NAME}o
  kVariable,       // {NAME}e: of the WSGI environ
};

struct AccessLogPiece {
  AccessLogAtom atom = AccessLogAtom::kLiteral;
  std::string text = {};  // the literal, or the name of a request field
  std::size_t index = 0;  // of a response field or variable: in the list of these
};

struct AccessLogFormat {
  std::vector<AccessLogPiece> pieces;
  // What has to be kept of a request for its line, by names of any case.
  std::vector<std::string> response_fields;
  std::vector<std::string> variables;
};

// Other names are "-", as Gunicorn's l always is.
Result<AccessLogFormat> ParseAccessLogFormat(std::string_view text);

}  // namespace gunid
