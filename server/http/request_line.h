// The first line of a request: METHOD SP TARGET SP VERSION CRLF (RFC 9112 section 3). llhttp never
// sees it. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "http/request_head.h"
#include "http/request_parser.h"

namespace gunid {

struct RequestLineScan {
  enum class Outcome {
    kMore,     // no end and no fault so far
    kEnd,      // up to and including the CRLF
    kTooLong,  // this and the next: up to, not including, the byte that offends
    kBadByte,  // a control byte, one outside ASCII, a bare CR or LF
  };

  Outcome outcome;
  std::size_t length;
};

// Looks for the end of the line that begins with `text`. Its first `seen` bytes have been scanned
// before. At most `longest` bytes may precede the CRLF.
RequestLineScan ScanRequestLine(std::string_view text, std::size_t seen, std::size_t longest);

// Judges a complete line (scanned, without its CRLF) and sets the method, target and version of
// `head`, or tells why it is refused. With casefold_http_method the method in `line` becomes upper
// case.
std::optional<RequestParser::ParseError> ParseRequestLine(std::span<char> line,
                                                          const ParserLaxity& laxity,
                                                          RequestHead& head);

}  // namespace gunid
