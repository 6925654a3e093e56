// Follows the field lines of a request head or of trailers, ahead of llhttp: where they are
// complete, and what llhttp lets pass: the limits (also on a line that is still growing), folded
// field lines (RFC 9112 section 5.2), empty names, bare LF. One per RequestParser.
#pragma once

#include <cstddef>
#include <string_view>

#include "http/request_parser.h"

namespace gunid {

class LineScanner {
 public:
  // What a line without a limit may have all the same: as much as a connection buffers for a head.
  static constexpr std::size_t kLongestLine = 64 * 1024 * 1024;

  enum class Outcome {
    kMore,          // all input was scanned
    kEnd,           // up to and including the empty line
    kFieldTooLong,  // this and the following: up to, not including, the byte that offends
    kTooManyFields,
    kFolded,
    kNoName,  // a field line that begins with the colon
    kNoCrlf,  // a line that ends in a bare LF
  };

  struct Scan {
    Outcome outcome;
    std::size_t length;  // how much of the input was scanned
  };

  LineScanner(const RequestLimits& limits, bool permit_folding);

  void Start();
  Scan Advance(std::string_view input);

  // How many of the bytes that were scanned last belong to a line that is not complete. Where lines
  // may be folded that can be known only by the first byte of the next.
  [[nodiscard]] std::size_t incomplete() const { return line_length_; }

 private:
  Outcome StartLine(char first);
  Outcome EndLine();

  const std::size_t longest_line_;  // in bytes before the LF
  const std::size_t most_fields_;
  const bool permit_folding_;

  bool at_line_start_ = true;
  bool empty_line_ = false;  // perhaps: it begins with a CR
  char last_ = 0;            // of the current line, before the LF
  std::size_t fields_ = 0;
  std::size_t line_length_ = 0;  // of the current line with those it is folded from, so far
};

}  // namespace gunid
