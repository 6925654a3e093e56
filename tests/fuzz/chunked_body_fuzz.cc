// Fuzzes the chunked coding as RequestParser undoes it, against a reference that was written from
// RFC 9112 section 7.1, byte by byte and without regard to speed.
//
// Input: a byte that says whether the body is limited, a byte that says how the input is cut, and
// what the client sends after the head.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "http/field_syntax.h"
#include "http/request_parser.h"
#include "pieces.h"
#include "refusal.h"

namespace gunid {
namespace {

constexpr std::size_t kOptionBytes = 2;
constexpr std::uint64_t kBodyLimit = 16;
// Short enough that neither the limit for a field nor that for framing is reached.
constexpr std::size_t kLongestInput = 4096;
constexpr int kMostTrailers = 100;

struct Outcome {
  enum class Kind { kNeedMore, kComplete, kRefused };
  Kind kind = Kind::kNeedMore;
  std::size_t length = 0;  // of the body with its framing, or up to the byte that is refused
  int status = 0;
  std::string body;
};

// Refuses at the first byte after which no valid body is possible any more.
class ReferenceDecoder {
 public:
  explicit ReferenceDecoder(std::uint64_t body_limit) : limit_(body_limit) {}

  Outcome Decode(std::string_view input) {
    for (; outcome_.length < input.size(); ++outcome_.length) {
      if (outcome_.kind == Outcome::Kind::kComplete) break;
      if (const int status = Take(input[outcome_.length]); status != 0) {
        outcome_.kind = Outcome::Kind::kRefused;
        outcome_.status = status;
        break;
      }
    }
    return outcome_;
  }

  // RFC 9112 has extensions ignored. A server that refuses an odd one disagrees with nobody about
  // where a message ends, so that is not held against it.
  [[nodiscard]] bool saw_extension() const { return saw_extension_; }

 private:
  enum class At {
    kSize,
    kSizeSpace,  // BWS between the size and the semicolon of an extension
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
  };

  // The status that the byte is refused with, or 0.
  int Take(char c) {
    switch (at_) {
      case At::kSize:
        return TakeSize(c);
      case At::kSizeSpace:
        if (c == ';') return Go(At::kExtension);
        return IsBlank(c) ? 0 : 400;
      case At::kExtension:
        if (c == '\r') return Go(At::kSizeLf);
        return IsText(c) ? 0 : 400;
      case At::kSizeLf:
        return c == '\n' ? BeginData() : 400;
      case At::kData:
        outcome_.body += c;
        return --left_ == 0 ? Go(At::kDataCr) : 0;
      case At::kDataCr:
        return c == '\r' ? Go(At::kDataLf) : 400;
      case At::kDataLf:
        return c == '\n' ? BeginChunk() : 400;
      case At::kTrailerStart:
        return c == '\r' ? Go(At::kEndLf) : BeginTrailer(c);
      case At::kTrailerName:
        return c == ':' ? EndTrailerName() : TakeNameChar(c);
      case At::kTrailerValue:
        if (c == '\r') return Go(At::kTrailerLf);
        return IsText(c) ? 0 : 400;
      case At::kTrailerLf:
        return c == '\n' ? Go(At::kTrailerStart) : 400;
      case At::kEndLf:
        if (c == '\n') outcome_.kind = Outcome::Kind::kComplete;
        return c == '\n' ? 0 : 400;
    }
    return 400;
  }

  int Go(At next) {
    at_ = next;
    return 0;
  }

  static bool IsBlank(char c) { return c == ' ' || c == '\t'; }
  static bool IsText(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
  }

  static std::optional<unsigned> HexDigit(char c) {
    constexpr std::string_view kLower = "0123456789abcdef";
    constexpr std::string_view kUpper = "0123456789ABCDEF";
    for (const std::string_view digits : {kLower, kUpper}) {
      if (const std::size_t at = digits.find(c); at != std::string_view::npos)
        return static_cast<unsigned>(at);
    }
    return std::nullopt;
  }

  int TakeSize(char c) {
    if (const auto digit = HexDigit(c)) {
      if (left_ > (UINT64_MAX - *digit) / 16) return 400;
      left_ = left_ * 16 + *digit;
      has_digit_ = true;
      return 0;
    }
    if (!has_digit_) return 400;
    if (c == '\r') return Go(At::kSizeLf);
    if (c != ';' && !IsBlank(c)) return 400;
    saw_extension_ = true;
    return Go(c == ';' ? At::kExtension : At::kSizeSpace);
  }

  int BeginData() {
    if (left_ > limit_ - outcome_.body.size()) return 413;
    return Go(left_ == 0 ? At::kTrailerStart : At::kData);
  }

  int BeginChunk() {
    left_ = 0;
    has_digit_ = false;
    return Go(At::kSize);
  }

  int BeginTrailer(char c) {
    if (trailers_++ == kMostTrailers) return 431;
    name_.clear();
    at_ = At::kTrailerName;
    return TakeNameChar(c);
  }

  int TakeNameChar(char c) {
    name_ += c;
    return IsTokenChar(c) ? 0 : 400;
  }

  int EndTrailerName() {
    constexpr std::string_view kForbidden[] = {
        "host", "content-length", "transfer-encoding", "trailer",
        "te",   "authorization",  "content-type",      "connection"};
    for (const std::string_view name : kForbidden) {
      if (EqualsIgnoreCase(name, name_)) return 400;
    }
    return name_.empty() ? 400 : Go(At::kTrailerValue);
  }

  const std::uint64_t limit_;
  Outcome outcome_;
  At at_ = At::kSize;
  std::uint64_t left_ = 0;  // of the chunk
  bool has_digit_ = false;
  bool saw_extension_ = false;
  int trailers_ = 0;
  std::string name_;
};

Outcome Refused(const RequestParser& parser, std::size_t length) {
  RequireCleanReason(parser.error().reason);
  return {.kind = Outcome::Kind::kRefused, .length = length, .status = parser.error().status};
}

Outcome DecodeByParser(const Pieces& pieces, std::uint64_t body_limit) {
  RequestParser parser({.body = body_limit});
  std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::size_t consumed = 0;
  RequireContract(parser.Feed(head, consumed, {}) == RequestParser::State::kHeadComplete,
                  "the head is accepted");
  Outcome outcome;
  for (const std::string_view piece : pieces) {
    std::vector<char> bytes(piece.begin(), piece.end());
    consumed = 0;
    const auto state =
        parser.Feed(bytes, consumed, [&outcome](std::string_view part) { outcome.body += part; });
    outcome.length += consumed;
    if (state == RequestParser::State::kError) return Refused(parser, outcome.length);
    if (state != RequestParser::State::kMessageComplete) continue;
    outcome.kind = Outcome::Kind::kComplete;
    break;
  }
  return outcome;
}

// A trailer line is judged when all of it has come.
bool InUnfinishedLine(std::string_view input, std::size_t at) {
  return input.find('\n', at) == std::string_view::npos;
}

void CheckAgainstReference(std::string_view input, const Outcome& parsed, std::uint64_t limit) {
  using Kind = Outcome::Kind;
  ReferenceDecoder decoder(limit == 0 ? UINT64_MAX : limit);
  const Outcome reference = decoder.Decode(input);
  if (parsed.kind == Kind::kRefused && decoder.saw_extension()) return;
  if (reference.kind == Kind::kRefused && parsed.kind == Kind::kNeedMore) {
    RequireContract(InUnfinishedLine(input, reference.length),
                    "a bad line is refused when it has ended");
    return;
  }
  RequireContract(parsed.kind == reference.kind, "what RFC 9112 accepts, and nothing else");
  if (parsed.kind == Kind::kRefused) {
    RequireContract(parsed.status == reference.status, "it is refused with the status it deserves");
    return;
  }
  RequireContract(parsed.body == reference.body, "the body is that of the chunks");
  RequireContract(parsed.length == reference.length, "the message ends where its chunks end");
}

}  // namespace
}  // namespace gunid

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gunid;
  if (size <= kOptionBytes || size > kLongestInput) return 0;
  const std::uint64_t limit = data[0] % 2 == 0 ? 0 : kBodyLimit;
  const std::string_view input(reinterpret_cast<const char*>(data) + kOptionBytes,
                               size - kOptionBytes);
  for (const Pieces& pieces : {Pieces{input}, CutEvery(input, 1), CutAtRandom(input, data[1])})
    CheckAgainstReference(input, DecodeByParser(pieces, limit), limit);
  return 0;
}
