#include "http/request_line.h"

#include <algorithm>

#include "http/field_syntax.h"
#include "http/request_target.h"

namespace gunid {
namespace {

using ParseError = RequestParser::ParseError;

constexpr std::size_t kShortestMethod = 3;
constexpr std::size_t kLongestMethod = 20;
constexpr std::string_view kProtocol = "HTTP/";

bool IsVisibleOrSpace(char c) {
  return c >= ' ' && c <= '~';
}
bool IsLowerCase(char c) {
  return c >= 'a' && c <= 'z';
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

// What a byte that belongs to no line says about it.
RequestLineScan EndLine(std::string_view text, std::size_t at) {
  if (text[at] != '\r') return {RequestLineScan::Outcome::kBadByte, at};
  if (at + 1 == text.size()) return {RequestLineScan::Outcome::kMore, at + 1};
  if (text[at + 1] != '\n') return {RequestLineScan::Outcome::kBadByte, at + 1};
  return {RequestLineScan::Outcome::kEnd, at + 2};
}

void MakeUpperCase(std::span<char> method) {
  for (char& c : method) {
    if (IsLowerCase(c)) c = static_cast<char>(c - 'a' + 'A');
  }
}

bool IsMethod(std::string_view method, const ParserLaxity& laxity) {
  const bool token = !method.empty() && std::all_of(method.begin(), method.end(), IsTokenChar);
  if (!token || laxity.permit_unconventional_http_method) return token;
  return method.size() >= kShortestMethod && method.size() <= kLongestMethod &&
         method.find('#') == std::string_view::npos &&
         std::none_of(method.begin(), method.end(), IsLowerCase);
}

bool IsVersion(std::string_view version) {
  return version.size() == kProtocol.size() + 3 && version.starts_with(kProtocol) &&
         IsDigit(version[5]) && version[6] == '.' && IsDigit(version[7]);
}

// 0 for 1.0, and 1 for 1.1 and what is to be taken as that (RFC 9110 section 2.5).
std::optional<int> MinorVersion(std::string_view version, const ParserLaxity& laxity) {
  const char major = version[5];
  const char minor = version[7];
  if (major == '1') return minor == '0' ? 0 : 1;
  if (!laxity.permit_unconventional_http_version) return std::nullopt;
  return major == '0' ? 0 : 1;
}

}  // namespace

RequestLineScan ScanRequestLine(std::string_view text, std::size_t seen, std::size_t longest) {
  // A CR that came last is judged by what follows it.
  for (std::size_t at = seen == 0 ? 0 : seen - 1; at < text.size(); ++at) {
    if (!IsVisibleOrSpace(text[at])) return EndLine(text, at);
    if (at == longest) return {RequestLineScan::Outcome::kTooLong, at};
  }
  return {RequestLineScan::Outcome::kMore, text.size()};
}

std::optional<ParseError> ParseRequestLine(std::span<char> line, const ParserLaxity& laxity,
                                           RequestHead& head) {
  const std::string_view text(line.data(), line.size());
  const std::size_t method_end = text.find(' ');
  if (method_end == std::string_view::npos) return ParseError{400, "Malformed request line"};
  const std::size_t target_end = text.find(' ', method_end + 1);
  if (target_end == std::string_view::npos) {
    return ParseError{400, "Request line has no HTTP version"};
  }
  if (laxity.casefold_http_method) MakeUpperCase(line.first(method_end));
  head.method = text.substr(0, method_end);
  head.target = text.substr(method_end + 1, target_end - method_end - 1);
  const std::string_view version = text.substr(target_end + 1);

  if (!IsMethod(head.method, laxity)) return ParseError{400, "Invalid request method"};
  if (head.method == "CONNECT") return ParseError{501, "Request method is not supported"};
  if (!IsVersion(version)) return ParseError{400, "Malformed request line"};
  // The version comes before the target: it says what the target may be.
  const std::optional<int> minor = MinorVersion(version, laxity);
  if (!minor) return ParseError{505, "HTTP version is not supported"};
  head.minor_version = *minor;
  const std::optional<RequestTarget> parts = SplitTarget(head.method, head.target);
  if (!parts) return ParseError{400, "Invalid request target"};
  head.parts = *parts;
  return std::nullopt;
}

}  // namespace gunid
