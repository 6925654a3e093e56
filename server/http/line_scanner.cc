#include "http/line_scanner.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace gunid {
namespace {

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

}  // namespace

// As in Gunicorn the line limit does not count the CRLF and the field limit does. An empty line
// always fits.
LineScanner::LineScanner(const RequestLimits& limits)
    : longest_request_line_(limits.line == 0 ? kUnlimited : limits.line + 1),
      longest_field_line_(limits.field_size == 0 ? kUnlimited
                                                 : std::max<std::size_t>(limits.field_size, 2) - 1),
      most_fields_(limits.fields == 0 ? kUnlimited : limits.fields) {}

void LineScanner::Restart(Section section) {
  section_ = section;
  fields_ = 0;
  line_length_ = 0;
}

LineScanner::Scan LineScanner::Advance(std::string_view input) {
  std::size_t position = 0;
  while (position < input.size()) {
    if (line_length_ == 0) {
      const Outcome outcome = StartLine(input[position]);
      if (outcome != Outcome::kMore) return {outcome, position};
    }
    const std::string_view rest = input.substr(position);
    const void* lf = std::memchr(rest.data(), '\n', rest.size());
    const std::size_t part =
        lf == nullptr ? rest.size() : static_cast<const char*>(lf) - rest.data();
    const std::size_t room = LongestLine() - line_length_;
    if (part > room) {
      const bool field = section_ == Section::kFields;
      return {field ? Outcome::kFieldTooLong : Outcome::kLineTooLong, position + room};
    }
    if (part > 0) last_ = rest[part - 1];
    line_length_ += part;
    position += part;
    if (lf == nullptr) break;

    const Outcome outcome = EndLine(last_);
    if (outcome == Outcome::kEnd) return {outcome, position + 1};
    if (outcome != Outcome::kMore) return {outcome, position};
    ++position;
  }
  return {Outcome::kMore, input.size()};
}

LineScanner::Outcome LineScanner::StartLine(char first) {
  if (section_ == Section::kLeading && first != '\r') section_ = Section::kRequestLine;
  if (section_ != Section::kFields || first == '\r') return Outcome::kMore;
  if (first == ' ' || first == '\t') return Outcome::kFolded;
  if (first == ':') return Outcome::kNoName;
  return ++fields_ > most_fields_ ? Outcome::kTooManyFields : Outcome::kMore;
}

LineScanner::Outcome LineScanner::EndLine(char last) {
  const bool empty = line_length_ == 1;
  if (line_length_ == 0 || last != '\r') return Outcome::kNoCrlf;
  line_length_ = 0;
  switch (section_) {
    case Section::kLeading:
      section_ = Section::kRequestLine;
      return empty ? Outcome::kMore : Outcome::kNoCrlf;
    case Section::kRequestLine:
      section_ = Section::kFields;
      return empty ? Outcome::kLeadingLines : Outcome::kMore;
    case Section::kFields:
      return empty ? Outcome::kEnd : Outcome::kMore;
  }
  return Outcome::kMore;
}

std::size_t LineScanner::LongestLine() const {
  return section_ == Section::kFields ? longest_field_line_ : longest_request_line_;
}

}  // namespace gunid
