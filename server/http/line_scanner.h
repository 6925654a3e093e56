// Follows the lines of a request head or of trailers, ahead of llhttp, to enforce what it lets
// pass: the limits (also on a line that is still growing), no folded field lines (RFC 9112
// section 5.2), no bare LF. One per RequestParser.
#pragma once

#include <cstddef>
#include <string_view>

#include "http/request_parser.h"

namespace gunid {

class LineScanner {
 public:
  enum class Outcome {
    kMore,          // all input was scanned
    kEnd,           // up to and including the empty line
    kLineTooLong,   // the request line
    kFieldTooLong,  // these and the following: up to, not including, the byte that offends
    kTooManyFields,
    kFolded,
    kNoName,        // a field line that begins with the colon
    kNoCrlf,        // a line that ends in a bare LF
    kLeadingLines,  // more than one empty line before the request line
  };

  struct Scan {
    Outcome outcome;
    std::size_t length;  // how much of the input was scanned
  };

  explicit LineScanner(const RequestLimits& limits);

  void StartHead() { Restart(Section::kLeading); }
  void StartTrailers() { Restart(Section::kFields); }
  Scan Advance(std::string_view input);

 private:
  enum class Section { kLeading, kRequestLine, kFields };

  void Restart(Section section);
  Outcome StartLine(char first);
  Outcome EndLine(char last);
  [[nodiscard]] std::size_t LongestLine() const;

  const std::size_t longest_request_line_;  // in bytes before the LF
  const std::size_t longest_field_line_;
  const std::size_t most_fields_;

  Section section_ = Section::kLeading;
  std::size_t fields_ = 0;
  std::size_t line_length_ = 0;  // of the current line, so far
  char last_ = 0;
};

}  // namespace gunid
