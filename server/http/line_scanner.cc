#include "http/line_scanner.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace gunid {

// As in Gunicorn the limit counts the CRLF. An empty line always fits.
LineScanner::LineScanner(const RequestLimits& limits, bool permit_folding)
    : longest_line_(limits.field_size == 0 ? kLongestLine
                                           : std::max<std::size_t>(limits.field_size, 2) - 1),
      most_fields_(limits.fields == 0 ? std::numeric_limits<std::size_t>::max() : limits.fields),
      permit_folding_(permit_folding) {}

void LineScanner::Start() {
  at_line_start_ = true;
  fields_ = 0;
  line_length_ = 0;
}

LineScanner::Scan LineScanner::Advance(std::string_view input) {
  std::size_t position = 0;
  while (position < input.size()) {
    if (at_line_start_) {
      const Outcome outcome = StartLine(input[position]);
      if (outcome != Outcome::kMore) return {outcome, position};
    }
    const std::string_view rest = input.substr(position);
    const void* lf = std::memchr(rest.data(), '\n', rest.size());
    const std::size_t part =
        lf == nullptr ? rest.size() : static_cast<const char*>(lf) - rest.data();
    const std::size_t room = longest_line_ - std::min(line_length_, longest_line_);
    const std::size_t fitting = std::min(part, room);
    if (fitting > 0) last_ = rest[fitting - 1];
    line_length_ += fitting;
    position += fitting;
    if (fitting < part) return {Outcome::kFieldTooLong, position};
    if (lf == nullptr) break;

    const Outcome outcome = EndLine();
    if (outcome == Outcome::kNoCrlf) return {outcome, position};
    ++position;
    if (outcome == Outcome::kEnd) return {outcome, position};
  }
  return {Outcome::kMore, input.size()};
}

LineScanner::Outcome LineScanner::StartLine(char first) {
  const bool blank = first == ' ' || first == '\t';
  if (blank && (!permit_folding_ || fields_ == 0)) return Outcome::kFolded;
  at_line_start_ = false;
  last_ = 0;
  if (blank) return Outcome::kMore;
  line_length_ = 0;
  empty_line_ = first == '\r';
  if (empty_line_) return Outcome::kMore;
  if (first == ':') return Outcome::kNoName;
  return ++fields_ > most_fields_ ? Outcome::kTooManyFields : Outcome::kMore;
}

LineScanner::Outcome LineScanner::EndLine() {
  if (last_ != '\r') return Outcome::kNoCrlf;
  at_line_start_ = true;
  const bool end = empty_line_ && line_length_ == 1;
  ++line_length_;
  if (end || !permit_folding_) line_length_ = 0;
  return end ? Outcome::kEnd : Outcome::kMore;
}

}  // namespace gunid
