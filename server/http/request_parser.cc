#include "http/request_parser.h"

#include <llhttp.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "http/chunked_decoder.h"
#include "http/field_syntax.h"
#include "http/line_scanner.h"
#include "http/request_line.h"
#include "http/request_target.h"

namespace gunid {
namespace {

using LineOutcome = LineScanner::Outcome;
using ParseError = RequestParser::ParseError;

// The memory for more fields than these is not kept from request to request.
constexpr std::size_t kFieldsKept = 32;

// They would change what the head has said, or how the message was understood.
constexpr std::array<std::string_view, 8> kNotInTrailers = {
    "Host", "Content-Length", "Transfer-Encoding", "Trailer",
    "TE",   "Authorization",  "Content-Type",      "Connection"};

ParseError ErrorFor(LineOutcome outcome) {
  switch (outcome) {
    case LineOutcome::kFieldTooLong:
      return {431, "Header field is too long"};
    case LineOutcome::kTooManyFields:
      return {431, "Too many header fields"};
    case LineOutcome::kFolded:
      return {400, "Header field is folded over several lines"};
    case LineOutcome::kNoName:
      return {400, "Header field has no name"};
    case LineOutcome::kNoCrlf:
      return {400, "Line does not end in CR LF"};
    case LineOutcome::kMore:
    case LineOutcome::kEnd:
      break;
  }
  return {400, "Malformed request"};
}

ParseError ErrorFor(ChunkedDecoder::Outcome outcome) {
  if (outcome == ChunkedDecoder::Outcome::kTooLarge) return {413, "Request body is too large"};
  if (outcome == ChunkedDecoder::Outcome::kTooMuchFraming) {
    return {400, "Too much chunk framing for so little body"};
  }
  return {400, "Malformed chunk"};
}

void Move(std::string_view& view, const char* old_base, const char* new_base) {
  if (view.data() == nullptr) return;
  view = std::string_view(new_base + (view.data() - old_base), view.size());
}

bool IsChunked(std::string_view coding) {
  return EqualsIgnoreCase(coding, "chunked");
}

// A list item of Transfer-Encoding: a token, perhaps with parameters.
bool IsTransferCoding(std::string_view item) {
  const std::string_view name = TrimWhitespace(item.substr(0, item.find(';')));
  return !name.empty() && std::all_of(name.begin(), name.end(), IsTokenChar);
}

}  // namespace

struct RequestParser::Impl {
  enum class Phase {
    kIdle,       // nothing has come
    kEmptyLine,  // its CR has
    kRequestLine,
    kFields,
    kBody,
    kTrailers,
    kComplete,
    kFailed,
  };

  // What the fields seen so far have said.
  struct Seen {
    bool host = false;
    bool content_type = false;
    bool transfer_encoding = false;
    bool connection_close = false;
    bool connection_keep_alive = false;
  };

  Impl(const RequestLimits& limits, const ParserLaxity& what_is_permitted);

  State Feed(std::span<char> input, std::size_t& consumed);
  State FeedStart(std::span<char> input, std::size_t& consumed);
  State FeedRequestLine(std::span<char> input, std::size_t& consumed);
  State FeedFields(std::span<char> input, std::size_t& consumed);
  State FeedBody(std::span<char> input, std::size_t& consumed);
  State FeedChunks(std::span<char> input, std::size_t& consumed);
  State FeedTrailers(std::span<char> input, std::size_t& consumed);
  void Reset();

  State BeginFields(std::span<char> line);
  void BeginLines(Phase of);
  // For head and trailers.
  State FeedLines(std::span<char> input, std::size_t& consumed);
  State RefuseLine(LineOutcome outcome, const char* line, const char* end);
  void Normalize(std::span<char> text) const;

  // Runs llhttp and returns where it stopped.
  const char* Execute(const char* begin, const char* end);
  State Fail(ParseError reason);
  State FailAsLlhttp();

  // Some of these are called back: false records the error and is to end the parsing.
  bool Require(bool condition, int status, const char* reason);
  bool CheckFields();
  bool CheckField(const HeaderField& field);
  bool CheckTransferEncoding(std::string_view value);
  bool CheckHead();
  void TakeHostFromTarget();

  static int OnFieldName(llhttp_t* parser, const char* at, std::size_t length);
  static int OnFieldValue(llhttp_t* parser, const char* at, std::size_t length);
  static int OnFieldComplete(llhttp_t* parser);
  static int OnHeadComplete(llhttp_t* parser);
  static llhttp_settings_t MakeSettings();
  static llhttp_t MakeBeginning();
  static const llhttp_settings_t kSettings;
  static const llhttp_t kBeginning;

  static Impl& Of(llhttp_t* parser) { return *static_cast<Impl*>(parser->data); }

  const std::size_t longest_request_line;
  const std::uint64_t longest_body;
  const ParserLaxity laxity;

  llhttp_t parser = {};  // set when the fields begin
  LineScanner lines;
  Phase phase = Phase::kIdle;
  Seen seen;
  RequestHead head;
  ParseError error;
  std::size_t line_length = 0;     // of the request line, so far
  std::size_t checked_fields = 0;  // of those in the head

  const BodySink* on_body = nullptr;  // during Feed
  std::uint64_t body_left = 0;        // of one that is not chunked
  ChunkedDecoder chunks;
  std::string trailer;  // a line that is not complete: what is consumed of a body is not kept
};

const llhttp_settings_t RequestParser::Impl::kSettings = MakeSettings();
const llhttp_t RequestParser::Impl::kBeginning = MakeBeginning();

llhttp_settings_t RequestParser::Impl::MakeSettings() {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_header_field = OnFieldName;
  settings.on_header_value = OnFieldValue;
  settings.on_header_value_complete = OnFieldComplete;
  settings.on_headers_complete = OnHeadComplete;
  return settings;
}

// llhttp after a request line that stands for all others: nothing depends on which it was.
llhttp_t RequestParser::Impl::MakeBeginning() {
  constexpr std::string_view kRequestLine = "POST / HTTP/1.1\r\n";
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &kSettings);
  llhttp_execute(&parser, kRequestLine.data(), kRequestLine.size());
  return parser;
}

RequestParser::Impl::Impl(const RequestLimits& limits, const ParserLaxity& what_is_permitted)
    : longest_request_line(limits.line == 0 ? LineScanner::kLongestLine : limits.line),
      longest_body(limits.body == 0 ? std::numeric_limits<std::uint64_t>::max() : limits.body),
      laxity(what_is_permitted),
      lines(limits, laxity.permit_obsolete_folding),
      chunks(longest_body) {}

RequestParser::State RequestParser::Impl::Feed(std::span<char> input, std::size_t& consumed) {
  const bool may_end_without_input = phase == Phase::kBody && !head.has_body();
  if (input.empty() && phase < Phase::kComplete && !may_end_without_input) return State::kNeedMore;
  switch (phase) {
    case Phase::kIdle:
    case Phase::kEmptyLine:
      return FeedStart(input, consumed);
    case Phase::kRequestLine:
      return FeedRequestLine(input, consumed);
    case Phase::kFields:
      return FeedFields(input, consumed);
    case Phase::kBody:
      return FeedBody(input, consumed);
    case Phase::kTrailers:
      return FeedTrailers(input, consumed);
    case Phase::kComplete:
      return State::kMessageComplete;
    case Phase::kFailed:
      break;
  }
  return State::kError;
}

// One empty line may precede the request line (RFC 9112 section 2.2).
RequestParser::State RequestParser::Impl::FeedStart(std::span<char> input, std::size_t& consumed) {
  if (phase == Phase::kIdle) {
    phase = input.front() == '\r' ? Phase::kEmptyLine : Phase::kRequestLine;
    if (phase == Phase::kRequestLine) return Feed(input, consumed);
  } else {
    if (input.front() != '\n') return Fail({400, "Line does not end in CR LF"});
    phase = Phase::kRequestLine;
  }
  ++consumed;
  return Feed(input.subspan(1), consumed);
}

RequestParser::State RequestParser::Impl::FeedRequestLine(std::span<char> input,
                                                          std::size_t& consumed) {
  const std::span<char> text(input.data() - line_length, line_length + input.size());
  const RequestLineScan scan =
      ScanRequestLine({text.data(), text.size()}, line_length, longest_request_line);
  const std::size_t taken = scan.length - line_length;
  line_length = scan.length;
  consumed += taken;
  switch (scan.outcome) {
    case RequestLineScan::Outcome::kMore:
      return State::kNeedMore;
    case RequestLineScan::Outcome::kTooLong:
      return Fail({414, "Request line is too long"});
    case RequestLineScan::Outcome::kBadByte:
      return Fail({400, "Invalid character in the request line"});
    case RequestLineScan::Outcome::kEnd:
      break;
  }
  if (BeginFields(text.first(scan.length - 2)) == State::kError) return State::kError;
  return Feed(input.subspan(taken), consumed);
}

RequestParser::State RequestParser::Impl::BeginFields(std::span<char> line) {
  if (auto refusal = ParseRequestLine(line, laxity, head)) return Fail(*std::move(refusal));
  BeginLines(Phase::kFields);
  return State::kNeedMore;
}

void RequestParser::Impl::BeginLines(Phase of) {
  parser = kBeginning;
  parser.data = this;
  lines.Start();
  phase = of;
}

RequestParser::State RequestParser::Impl::FeedFields(std::span<char> input, std::size_t& consumed) {
  const State state = FeedLines(input, consumed);
  if (state != State::kMessageComplete) return state;
  phase = Phase::kBody;
  body_left = head.content_length.value_or(0);
  if (head.chunked) chunks.Start();
  return State::kHeadComplete;
}

// The scanner goes ahead of llhttp, which gets only complete lines, so that a name or value comes
// in one piece; the bytes of the last line wait in the caller's buffer. kMessageComplete stands for
// the end of the lines.
RequestParser::State RequestParser::Impl::FeedLines(std::span<char> input, std::size_t& consumed) {
  char* const begin = input.data() - lines.incomplete();
  const LineScanner::Scan scan = lines.Advance({input.data(), input.size()});
  char* const scanned = input.data() + scan.length;
  char* const complete = scanned - lines.incomplete();
  const bool refused = scan.outcome != LineOutcome::kMore && scan.outcome != LineOutcome::kEnd;
  consumed += scan.length;

  Normalize({begin, refused ? scanned : complete});
  Execute(begin, complete);
  if (phase == Phase::kFailed) return State::kError;
  const bool end = scan.outcome == LineOutcome::kEnd;
  if (llhttp_get_errno(&parser) != (end ? HPE_PAUSED : HPE_OK)) return FailAsLlhttp();
  if (end) return State::kMessageComplete;
  return refused ? RefuseLine(scan.outcome, complete, scanned) : State::kNeedMore;
}

// The fields before the line come first in the input, if it is none of theirs, and then what llhttp
// finds in the part of the line that the scanner let pass.
RequestParser::State RequestParser::Impl::RefuseLine(LineOutcome outcome, const char* line,
                                                     const char* end) {
  if (outcome != LineOutcome::kFolded && !CheckFields()) return State::kError;
  Execute(line, end);
  if (phase == Phase::kFailed) return State::kError;
  return llhttp_get_errno(&parser) == HPE_OK ? Fail(ErrorFor(outcome)) : FailAsLlhttp();
}

void RequestParser::Impl::Normalize(std::span<char> text) const {
  if (laxity.permit_obsolete_folding) Unfold(text);
  if (laxity.strip_header_spaces) CloseUpNames(text);
  // llhttp takes none behind a length or a transfer coding.
  BlankTrailingTabs(text);
}

RequestParser::State RequestParser::Impl::FeedBody(std::span<char> input, std::size_t& consumed) {
  if (head.chunked) return FeedChunks(input, consumed);
  const std::string_view part(input.data(), std::min<std::uint64_t>(input.size(), body_left));
  if (!part.empty() && *on_body) (*on_body)(part);
  consumed += part.size();
  body_left -= part.size();
  if (body_left > 0) return State::kNeedMore;
  phase = Phase::kComplete;
  return State::kMessageComplete;
}

RequestParser::State RequestParser::Impl::FeedChunks(std::span<char> input, std::size_t& consumed) {
  std::size_t taken = 0;
  const ChunkedDecoder::Outcome outcome =
      chunks.Decode({input.data(), input.size()}, taken, *on_body);
  consumed += taken;
  if (outcome == ChunkedDecoder::Outcome::kMore) return State::kNeedMore;
  if (outcome != ChunkedDecoder::Outcome::kEnd) return Fail(ErrorFor(outcome));
  BeginLines(Phase::kTrailers);
  return Feed(input.subspan(taken), consumed);
}

RequestParser::State RequestParser::Impl::FeedTrailers(std::span<char> input,
                                                       std::size_t& consumed) {
  const std::size_t kept = trailer.size();
  if (kept > 0) trailer.append(input.data(), input.size());
  const State state = FeedLines(kept > 0 ? std::span(trailer).subspan(kept) : input, consumed);
  if (state == State::kMessageComplete) {
    phase = Phase::kComplete;
  } else if (kept > 0) {
    trailer.erase(0, trailer.size() - lines.incomplete());
  } else if (state == State::kNeedMore) {
    const std::span<char> line = input.last(lines.incomplete());
    trailer.assign(line.data(), line.size());
  }
  return state;
}

void RequestParser::Impl::Reset() {
  std::vector<HeaderField> headers;
  if (head.headers.capacity() <= kFieldsKept) headers = std::move(head.headers);
  headers.clear();
  head = RequestHead{.headers = std::move(headers)};
  phase = Phase::kIdle;
  seen = {};
  error = {};
  trailer.clear();
  trailer.shrink_to_fit();
  line_length = checked_fields = 0;
}

const char* RequestParser::Impl::Execute(const char* begin, const char* end) {
  const llhttp_errno_t result = llhttp_execute(&parser, begin, end - begin);
  return result == HPE_OK ? end : llhttp_get_error_pos(&parser);
}

RequestParser::State RequestParser::Impl::Fail(ParseError reason) {
  error = std::move(reason);
  phase = Phase::kFailed;
  return State::kError;
}

RequestParser::State RequestParser::Impl::FailAsLlhttp() {
  const char* reason = llhttp_get_error_reason(&parser);
  return Fail({400, reason != nullptr ? reason : "Malformed request"});
}

bool RequestParser::Impl::Require(bool condition, int status, const char* reason) {
  if (!condition) Fail({status, reason});
  return condition;
}

// Each field as soon as it is known to have ended, so that of two errors the first in the input is
// found.
bool RequestParser::Impl::CheckFields() {
  while (checked_fields < head.headers.size()) {
    if (!CheckField(head.headers[checked_fields++])) return false;
  }
  return true;
}

bool RequestParser::Impl::CheckField(const HeaderField& field) {
  const auto is = [&field](std::string_view name) { return EqualsIgnoreCase(field.name, name); };
  switch (field.name.size()) {
    case 4:
      if (!is("Host")) return true;
      return Require(!std::exchange(seen.host, true), 400, "Host header field is repeated") &&
             Require(IsHostAndPort(field.value), 400, "Invalid Host header field");
    case 6:
      if (!is("Expect") || head.minor_version == 0) return true;
      head.expect_continue = true;
      return Require(EqualsIgnoreCase(field.value, "100-continue"), 417,
                     "Expectation cannot be met");
    case 10:
      if (!is("Connection")) return true;
      seen.connection_close |= ListContains(field.value, "close");
      seen.connection_keep_alive |= ListContains(field.value, "keep-alive");
      return true;
    case 12:
      return !is("Content-Type") || Require(!std::exchange(seen.content_type, true), 400,
                                            "Content-Type header field is repeated");
    case 17:
      return !is("Transfer-Encoding") || CheckTransferEncoding(field.value);
    default:
      return true;
  }
}

// A single `chunked`: no other coding is undone here.
bool RequestParser::Impl::CheckTransferEncoding(std::string_view value) {
  if (!Require(head.minor_version == 1, 400, "Transfer-Encoding in an HTTP/1.0 request")) {
    return false;
  }
  bool chunked = std::exchange(seen.transfer_encoding, true);  // no other got past this function
  bool supported = true;
  for (std::size_t start = 0; start <= value.size();) {
    const std::size_t end = std::min(value.find(',', start), value.size());
    const std::string_view item = TrimWhitespace(value.substr(start, end - start));
    if (!Require(IsTransferCoding(item), 400, "Malformed Transfer-Encoding") ||
        !Require(!chunked, 400, "Transfer coding after chunked")) {
      return false;
    }
    chunked = IsChunked(item);
    supported &= chunked;
    start = end + 1;
  }
  return Require(supported, 501, "Transfer coding is not supported");
}

bool RequestParser::Impl::CheckHead() {
  head.chunked = seen.transfer_encoding;  // no other than one `chunked` got past its check
  if ((parser.flags & F_CONTENT_LENGTH) != 0) head.content_length = parser.content_length;
  const bool is_1_1 = head.minor_version == 1;
  head.keep_alive = !seen.connection_close && (is_1_1 || seen.connection_keep_alive);
  if (head.target.front() != '/') TakeHostFromTarget();
  return Require(head.chunked == ((parser.flags & F_CHUNKED) != 0), 400,
                 "Malformed Transfer-Encoding") &&
         Require(seen.host || !is_1_1, 400, "Host header field is missing") &&
         Require(head.content_length.value_or(0) <= longest_body, 413, "Request body is too large");
}

// RFC 9112 section 3.2.2.
void RequestParser::Impl::TakeHostFromTarget() {
  const std::string_view authority = head.parts.authority;
  if (authority.empty()) return;
  for (HeaderField& field : head.headers) {
    if (EqualsIgnoreCase(field.name, "Host")) field.value = authority;
  }
}

int RequestParser::Impl::OnFieldName(llhttp_t* parser, const char* at, std::size_t length) {
  Impl& self = Of(parser);
  const std::string_view name(at, length);
  const auto is = [name](std::string_view other) { return EqualsIgnoreCase(name, other); };
  if (self.phase == Phase::kTrailers) {
    const bool fits = std::none_of(kNotInTrailers.begin(), kNotInTrailers.end(), is);
    return self.Require(fits, 400, "Field that must not be in trailers") ? 0 : HPE_USER;
  }
  self.head.headers.push_back({name, {}});
  return 0;
}

int RequestParser::Impl::OnFieldValue(llhttp_t* parser, const char* at, std::size_t length) {
  Impl& self = Of(parser);
  if (self.phase == Phase::kFields) {
    self.head.headers.back().value = TrimWhitespace(std::string_view(at, length));
  }
  return 0;
}

int RequestParser::Impl::OnFieldComplete(llhttp_t* parser) {
  return Of(parser).CheckFields() ? 0 : HPE_USER;
}

int RequestParser::Impl::OnHeadComplete(llhttp_t* parser) {
  Impl& self = Of(parser);
  return self.phase == Phase::kTrailers || self.CheckHead() ? HPE_PAUSED : -1;
}

RequestParser::RequestParser(const RequestLimits& limits, const ParserLaxity& laxity)
    : impl_(std::make_unique<Impl>(limits, laxity)) {
  static_assert(sizeof(Impl) <= 512, "every idle connection has one");
}

RequestParser::~RequestParser() = default;

RequestParser::State RequestParser::Feed(std::span<char> input, std::size_t& consumed,
                                         const BodySink& on_body) {
  impl_->on_body = &on_body;
  return impl_->Feed(input, consumed);
}

const RequestHead& RequestParser::head() const {
  return impl_->head;
}
RequestHead& RequestParser::head() {
  return impl_->head;
}
const RequestParser::ParseError& RequestParser::error() const {
  return impl_->error;
}

bool RequestParser::in_message() const {
  const Impl::Phase phase = impl_->phase;
  return phase > Impl::Phase::kRequestLine || impl_->line_length > 0;
}

void RequestParser::Rebase(const char* old_base, const char* new_base) {
  RequestHead& head = impl_->head;
  Move(head.method, old_base, new_base);
  Move(head.target, old_base, new_base);
  if (const auto parts = SplitTarget(head.method, head.target)) head.parts = *parts;
  if (head.script_name) Move(*head.script_name, old_base, new_base);
  for (HeaderField& field : head.headers) {
    Move(field.name, old_base, new_base);
    Move(field.value, old_base, new_base);
  }
}

void RequestParser::Reset() {
  impl_->Reset();
}

}  // namespace gunid
