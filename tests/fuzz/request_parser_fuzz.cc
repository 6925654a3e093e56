// Fuzzes RequestParser: requests in a row, with any laxity and with tight or default limits. What
// comes of the input must not depend on how it arrives, and what is accepted must be what a request
// may be.
//
// Input: a byte of laxities (one bit each), a byte for the limits (0: default), a byte that says
// how the input is cut, and what the client sends.

#include <algorithm>
#include <cstdint>
#include <string>

#include "http/field_syntax.h"
#include "pieces.h"
#include "refusal.h"
#include "support/parser_feed.h"

namespace gunid {
namespace {

constexpr std::size_t kOptionBytes = 3;

ParserLaxity LaxityOf(unsigned bits) {
  return {.permit_obsolete_folding = (bits & 1) != 0,
          .strip_header_spaces = (bits & 2) != 0,
          .permit_unconventional_http_method = (bits & 4) != 0,
          .permit_unconventional_http_version = (bits & 8) != 0,
          .casefold_http_method = (bits & 16) != 0};
}

RequestLimits LimitsOf(unsigned choice) {
  if (choice == 0) return {};
  return {.line = 40, .fields = 4, .field_size = 40, .body = 16};
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenChar);
}

bool IsVisible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool IsFieldValue(std::string_view value) {
  const auto allowed = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
  };
  return std::all_of(value.begin(), value.end(), allowed) && value == TrimWhitespace(value);
}

std::ptrdiff_t Count(const RequestHead& head, std::string_view name) {
  return std::count_if(head.headers.begin(), head.headers.end(), [name](const HeaderField& field) {
    return EqualsIgnoreCase(field.name, name);
  });
}

void CheckFields(const RequestHead& head, const RequestLimits& limits) {
  RequireContract(head.headers.size() <= limits.fields, "no more fields than the limit");
  for (const HeaderField& field : head.headers) {
    RequireContract(IsToken(field.name), "a field name is a token");
    RequireContract(IsFieldValue(field.value), "a value has no control bytes and is trimmed");
    RequireContract(field.name.size() + 1 + field.value.size() + 2 <= limits.field_size,
                    "no field is longer than the limit");
  }
}

void CheckFraming(const RequestHead& head) {
  const bool chunked = Count(head, "Transfer-Encoding") == 1;
  RequireContract(Count(head, "Transfer-Encoding") <= 1 && Count(head, "Content-Length") <= 1,
                  "a body is framed in one way");
  RequireContract(head.chunked == chunked, "chunked is what Transfer-Encoding says");
  RequireContract(head.content_length.has_value() == (Count(head, "Content-Length") == 1),
                  "a length is what Content-Length says");
  RequireContract(!head.chunked || !head.content_length, "a body is framed in one way");
  RequireContract(!head.chunked || head.minor_version == 1, "HTTP/1.0 has no chunks");
}

void CheckHead(const RequestHead& head, const RequestLimits& limits, const ParserLaxity& laxity) {
  RequireContract(IsToken(head.method), "a method is a token");
  RequireContract(
      !laxity.casefold_http_method || std::none_of(head.method.begin(), head.method.end(),
                                                   [](char c) { return c >= 'a' && c <= 'z'; }),
      "a casefolded method is in upper case");
  RequireContract(!head.target.empty() && IsVisible(head.target), "a target is visible ASCII");
  RequireContract(head.method.size() + head.target.size() + 10 <= limits.line,
                  "no request line is longer than the limit");
  RequireContract(head.minor_version == 0 || head.minor_version == 1, "versions are 1.0 and 1.1");
  RequireContract(Count(head, "Host") <= 1, "one Host field at most");
  RequireContract(head.minor_version == 0 || Count(head, "Host") == 1, "HTTP/1.1 has a Host field");
  CheckFields(head, limits);
  CheckFraming(head);
}

void CheckBody(const RequestHead& head, const std::string& body, const RequestLimits& limits) {
  RequireContract(head.chunked || body.size() == head.content_length.value_or(0),
                  "a body is as long as it was said to be");
  RequireContract(limits.body == 0 || body.size() <= limits.body,
                  "no body is longer than the limit");
}

void CheckRefusal(const RequestParser::ParseError& error) {
  constexpr int kStatuses[] = {400, 413, 414, 417, 431, 501, 505};
  RequireContract(std::count(std::begin(kStatuses), std::end(kStatuses), error.status) == 1,
                  "a refusal has one of the statuses");
  RequireCleanReason(error.reason);
}

std::string Describe(const RequestHead& head) {
  std::string text = std::string(head.method) + " " + std::string(head.target) + " " +
                     std::to_string(head.minor_version) + (head.chunked ? "c" : "") +
                     (head.keep_alive ? "k" : "") + (head.expect_continue ? "e" : "") +
                     (head.content_length ? std::to_string(*head.content_length) : "") + "\n";
  for (const HeaderField& field : head.headers)
    text += std::string(field.name) + ":" + std::string(field.value) + "\n";
  return text;
}

// Everything that came of the input.
std::string Play(const Pieces& pieces, const RequestLimits& limits, const ParserLaxity& laxity) {
  std::string outcome;
  ParserFeed feed(limits, laxity,
                  {.head =
                       [&](RequestHead& head) {
                         CheckHead(head, limits, laxity);
                         outcome += Describe(head);
                         return std::nullopt;
                       },
                   .request =
                       [&](const RequestHead& head, const std::string& body) {
                         CheckBody(head, body, limits);
                         outcome += Describe(head) + body + "\n";
                         return true;
                       }});
  for (const std::string_view piece : pieces) feed.Receive(piece);
  if (!feed.error()) return outcome + (feed.in_message() ? "in message" : "idle");
  CheckRefusal(*feed.error());
  return outcome + std::to_string(feed.error()->status) + feed.error()->reason;
}

}  // namespace
}  // namespace gunid

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gunid;
  if (size <= kOptionBytes) return 0;
  const ParserLaxity laxity = LaxityOf(data[0]);
  const RequestLimits limits = LimitsOf(data[1] % 2);
  const std::string_view input(reinterpret_cast<const char*>(data) + kOptionBytes,
                               size - kOptionBytes);
  const std::string whole = Play({input}, limits, laxity);
  for (const Pieces& pieces : {CutEvery(input, 1), CutAtRandom(input, data[2])}) {
    RequireContract(Play(pieces, limits, laxity) == whole,
                    "the outcome does not depend on how the input arrives");
  }
  return 0;
}
