#include "http/request_parser.h"

#include <llhttp.h>

#include <algorithm>
#include <utility>

#include "http/field_syntax.h"
#include "http/line_scanner.h"
#include "http/request_target.h"

namespace gunid {
namespace {

using Outcome = LineScanner::Outcome;
using ParseError = RequestParser::ParseError;

// What is neither body nor trailers of a chunked message: sizes, extensions, line ends. The
// smallest chunk needs 5 bytes of it for one byte of body.
constexpr std::uint64_t kFramingAllowance = 16'384;
constexpr std::uint64_t kFramingPerBodyByte = 16;

ParseError ErrorFor(Outcome outcome) {
  switch (outcome) {
    case Outcome::kLineTooLong:
      return {414, "Request line is too long"};
    case Outcome::kFieldTooLong:
      return {431, "Header field is too long"};
    case Outcome::kTooManyFields:
      return {431, "Too many header fields"};
    case Outcome::kFolded:
      return {400, "Header field is folded over several lines"};
    case Outcome::kNoName:
      return {400, "Header field has no name"};
    case Outcome::kNoCrlf:
      return {400, "Line does not end in CR LF"};
    case Outcome::kLeadingLines:
      return {400, "Empty lines before the request line"};
    case Outcome::kMore:
    case Outcome::kEnd:
      break;
  }
  return {400, "Malformed request"};
}

// A span that llhttp may hand out in pieces; they are contiguous in the caller's buffer.
void Extend(std::string_view& view, const char* at, std::size_t length) {
  view = std::string_view(view.empty() ? at : view.data(), view.size() + length);
}

void Move(std::string_view& view, const char* old_base, const char* new_base) {
  if (view.data() == nullptr) return;
  view = std::string_view(new_base + (view.data() - old_base), view.size());
}

// "Expected space after method" and the like, when what stands there is a method that llhttp does
// not know.
bool IsUnknownMethod(std::string_view input, const char* error, bool method_begun) {
  if (IsTokenChar(*error)) return true;
  const bool after_token = error == input.data() ? method_begun : IsTokenChar(error[-1]);
  return *error == ' ' && after_token;
}

bool IsVersionNumber(std::string_view version) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return version.size() == 3 && digit(version[0]) && version[1] == '.' && digit(version[2]);
}

}  // namespace

struct RequestParser::Impl {
  enum class Phase { kHead, kBody, kComplete, kFailed };

  explicit Impl(const RequestLimits& limits) : lines(limits) {
    llhttp_init(&parser, HTTP_REQUEST, &kSettings);
    parser.data = this;
  }

  State Feed(std::string_view input, std::size_t& consumed);
  State FeedHead(std::string_view input, std::size_t& consumed);
  State FeedBody(std::string_view input, std::size_t& consumed);
  void Reset();

  // Runs llhttp over the input and returns how much of it was taken.
  std::size_t Execute(std::string_view input);
  ParseError LlhttpError(std::string_view input) const;
  State Fail(ParseError reason);

  // In a callback: false records the error and is to end the parsing.
  bool Require(bool condition, int status, const char* reason);
  bool CheckMethod();
  bool CheckRequestLine();
  bool CheckHead();
  bool CheckField(const HeaderField& field);
  bool CheckTransferEncoding(std::string_view value);
  bool CheckFraming(const char* end);

  bool BeginTrailers(const char* first);

  static int OnMethod(llhttp_t* parser, const char* at, std::size_t length);
  static int OnMethodComplete(llhttp_t* parser);
  static int OnTarget(llhttp_t* parser, const char* at, std::size_t length);
  static int OnVersion(llhttp_t* parser, const char* at, std::size_t length);
  static int OnVersionComplete(llhttp_t* parser);
  static int OnFieldName(llhttp_t* parser, const char* at, std::size_t length);
  static int OnFieldValue(llhttp_t* parser, const char* at, std::size_t length);
  static int OnFieldComplete(llhttp_t* parser);
  static int OnHeadComplete(llhttp_t* parser);
  static int OnBody(llhttp_t* parser, const char* at, std::size_t length);
  static int OnMessageComplete(llhttp_t* parser);
  static llhttp_settings_t MakeSettings();
  static const llhttp_settings_t kSettings;

  static Impl& Of(llhttp_t* parser) { return *static_cast<Impl*>(parser->data); }

  llhttp_t parser;
  LineScanner lines;
  Phase phase = Phase::kHead;
  RequestHead head;
  ParseError error;
  std::string_view version;  // "1.1"
  bool in_field = false;     // between a field's name and the end of its value

  // Seen in the head so far.
  bool host = false;
  bool content_type = false;
  bool connection_close = false;
  bool connection_keep_alive = false;

  const BodySink* on_body = nullptr;  // during Feed
  const char* mark = nullptr;         // end of what has been counted of the input
  std::uint64_t body_bytes = 0;
  std::uint64_t framing_bytes = 0;
  bool in_trailers = false;
};

const llhttp_settings_t RequestParser::Impl::kSettings = MakeSettings();

llhttp_settings_t RequestParser::Impl::MakeSettings() {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_method = OnMethod;
  settings.on_method_complete = OnMethodComplete;
  settings.on_url = OnTarget;
  settings.on_version = OnVersion;
  settings.on_version_complete = OnVersionComplete;
  settings.on_header_field = OnFieldName;
  settings.on_header_value = OnFieldValue;
  settings.on_header_value_complete = OnFieldComplete;
  settings.on_headers_complete = OnHeadComplete;
  settings.on_body = OnBody;
  settings.on_message_complete = OnMessageComplete;
  return settings;
}

RequestParser::State RequestParser::Impl::Feed(std::string_view input, std::size_t& consumed) {
  switch (phase) {
    case Phase::kHead:
      return FeedHead(input, consumed);
    case Phase::kBody:
      return FeedBody(input, consumed);
    case Phase::kComplete:
      return State::kMessageComplete;
    case Phase::kFailed:
      break;
  }
  return State::kError;
}

// The scanner goes ahead of llhttp, and llhttp gets only what the scanner let pass: of two errors
// the first in the input is reported, however the input was split.
RequestParser::State RequestParser::Impl::FeedHead(std::string_view input, std::size_t& consumed) {
  const LineScanner::Scan scan = lines.Advance(input);
  const std::string_view scanned = input.substr(0, scan.length);
  consumed += Execute(scanned);
  if (phase == Phase::kFailed) return State::kError;
  const llhttp_errno_t result = llhttp_get_errno(&parser);
  if (result == HPE_PAUSED) {
    phase = Phase::kBody;
    return State::kHeadComplete;
  }
  if (result != HPE_OK) return Fail(LlhttpError(scanned));
  if (scan.outcome != Outcome::kMore) return Fail(ErrorFor(scan.outcome));
  return State::kNeedMore;
}

RequestParser::State RequestParser::Impl::FeedBody(std::string_view input, std::size_t& consumed) {
  llhttp_resume(&parser);
  mark = input.data();
  const std::size_t taken = Execute(input);
  consumed += taken;
  if (phase == Phase::kFailed) return State::kError;
  const char* end = input.data() + taken;
  if (in_trailers) {
    const LineScanner::Scan scan = lines.Advance(std::string_view(mark, end - mark));
    const bool passed = scan.outcome == Outcome::kMore || scan.outcome == Outcome::kEnd;
    if (!passed) return Fail(ErrorFor(scan.outcome));
  } else if (head.chunked && !CheckFraming(end)) {
    return State::kError;
  }
  const llhttp_errno_t result = llhttp_get_errno(&parser);
  if (result == HPE_PAUSED) {
    phase = Phase::kComplete;
    return State::kMessageComplete;
  }
  return result == HPE_OK ? State::kNeedMore : Fail(LlhttpError(input));
}

void RequestParser::Impl::Reset() {
  llhttp_reset(&parser);
  lines.StartHead();
  phase = Phase::kHead;
  std::vector<HeaderField> headers = std::move(head.headers);
  headers.clear();
  head = RequestHead{.headers = std::move(headers)};
  error = {};
  version = {};
  in_field = host = content_type = connection_close = connection_keep_alive = in_trailers = false;
  body_bytes = framing_bytes = 0;
}

std::size_t RequestParser::Impl::Execute(std::string_view input) {
  const llhttp_errno_t result = llhttp_execute(&parser, input.data(), input.size());
  return result == HPE_OK ? input.size() : llhttp_get_error_pos(&parser) - input.data();
}

ParseError RequestParser::Impl::LlhttpError(std::string_view input) const {
  const llhttp_errno_t result = llhttp_get_errno(&parser);
  if (result == HPE_INVALID_METHOD &&
      IsUnknownMethod(input, llhttp_get_error_pos(&parser), !head.method.empty())) {
    return {501, "Request method is not supported"};
  }
  if (result == HPE_INVALID_VERSION && IsVersionNumber(version) && version != "1.1" &&
      version != "1.0") {
    return {505, "HTTP version is not supported"};
  }
  return {400, llhttp_get_error_reason(&parser)};
}

RequestParser::State RequestParser::Impl::Fail(ParseError reason) {
  error = std::move(reason);
  phase = Phase::kFailed;
  return State::kError;
}

bool RequestParser::Impl::Require(bool condition, int status, const char* reason) {
  if (!condition) Fail({status, reason});
  return condition;
}

// llhttp knows methods of other protocols too.
bool RequestParser::Impl::CheckMethod() {
  if (!Require(parser.method != HTTP_PRI, 505, "HTTP/2 is not supported")) return false;
  const bool rtsp = parser.method > HTTP_PRI && parser.method <= HTTP_FLUSH;
  return Require(!rtsp && parser.method != HTTP_CONNECT, 501, "Request method is not supported");
}

// llhttp also takes RTSP/1.0, ICE/1.0, and several spaces.
bool RequestParser::Impl::CheckRequestLine() {
  const char* method_end = head.method.data() + head.method.size();
  const char* target_end = head.target.data() + head.target.size();
  if (!Require(head.target.data() - method_end == 1 &&
                   std::string_view(target_end, version.data() - target_end) == " HTTP/",
               400, "Malformed request line")) {
    return false;
  }
  return Require(version == "1.1" || version == "1.0", 505, "HTTP version is not supported") &&
         Require(SplitTarget(head.method, head.target).has_value(), 400, "Invalid request target");
}

bool RequestParser::Impl::CheckHead() {
  if (!Require(!version.empty(), 400, "Request line has no HTTP version")) return false;
  head.minor_version = parser.http_minor;
  head.chunked = (parser.flags & F_CHUNKED) != 0;
  if ((parser.flags & F_CONTENT_LENGTH) != 0) head.content_length = parser.content_length;
  for (const HeaderField& field : head.headers) {
    if (!CheckField(field)) return false;
  }
  const bool is_1_1 = head.minor_version == 1;
  head.keep_alive = !connection_close && (is_1_1 || connection_keep_alive);
  return Require(host || !is_1_1, 400, "Host header field is missing");
}

bool RequestParser::Impl::CheckField(const HeaderField& field) {
  const auto is = [&field](std::string_view name) { return EqualsIgnoreCase(field.name, name); };
  switch (field.name.size()) {
    case 4:
      if (!is("Host")) return true;
      return Require(!std::exchange(host, true), 400, "Host header field is repeated") &&
             Require(field.value.find_first_of(" \t/\\?#@<>\"") == std::string_view::npos, 400,
                     "Invalid Host header field");
    case 6:
      if (!is("Expect") || head.minor_version == 0) return true;
      head.expect_continue = true;
      return Require(EqualsIgnoreCase(field.value, "100-continue"), 417,
                     "Expectation cannot be met");
    case 10:
      if (!is("Connection")) return true;
      connection_close |= ListContains(field.value, "close");
      connection_keep_alive |= ListContains(field.value, "keep-alive");
      return true;
    case 12:
      return !is("Content-Type") || Require(!std::exchange(content_type, true), 400,
                                            "Content-Type header field is repeated");
    case 17:
      return !is("Transfer-Encoding") || CheckTransferEncoding(field.value);
    default:
      return true;
  }
}

// A single `chunked` or nothing: no other coding is undone here. llhttp has refused one that comes
// after `chunked`.
bool RequestParser::Impl::CheckTransferEncoding(std::string_view value) {
  if (!Require(head.minor_version == 1, 400, "Transfer-Encoding in an HTTP/1.0 request")) {
    return false;
  }
  const std::string_view first = TrimWhitespace(value.substr(0, value.find_first_of(",;")));
  const bool token = std::all_of(first.begin(), first.end(), IsTokenChar);
  return Require(token && !first.empty(), 400, "Malformed Transfer-Encoding") &&
         Require(EqualsIgnoreCase(value, "chunked"), 501, "Transfer coding is not supported");
}

// Counts what precedes `end` as framing.
bool RequestParser::Impl::CheckFraming(const char* end) {
  framing_bytes += end - mark;
  mark = end;
  return Require(framing_bytes <= kFramingAllowance + kFramingPerBodyByte * body_bytes, 400,
                 "Too much chunk framing for so little body");
}

bool RequestParser::Impl::BeginTrailers(const char* first) {
  if (std::exchange(in_trailers, true)) return true;
  lines.StartTrailers();
  return CheckFraming(first);
}

int RequestParser::Impl::OnMethod(llhttp_t* parser, const char* at, std::size_t length) {
  Extend(Of(parser).head.method, at, length);
  return 0;
}

int RequestParser::Impl::OnMethodComplete(llhttp_t* parser) {
  return Of(parser).CheckMethod() ? 0 : -1;
}

int RequestParser::Impl::OnTarget(llhttp_t* parser, const char* at, std::size_t length) {
  Extend(Of(parser).head.target, at, length);
  return 0;
}

int RequestParser::Impl::OnVersion(llhttp_t* parser, const char* at, std::size_t length) {
  Extend(Of(parser).version, at, length);
  return 0;
}

int RequestParser::Impl::OnVersionComplete(llhttp_t* parser) {
  return Of(parser).CheckRequestLine() ? 0 : -1;
}

int RequestParser::Impl::OnFieldName(llhttp_t* parser, const char* at, std::size_t length) {
  Impl& self = Of(parser);
  if (self.phase == Phase::kBody) return self.BeginTrailers(at) ? 0 : HPE_USER;
  if (!std::exchange(self.in_field, true)) self.head.headers.emplace_back();
  Extend(self.head.headers.back().name, at, length);
  return 0;
}

int RequestParser::Impl::OnFieldValue(llhttp_t* parser, const char* at, std::size_t length) {
  Impl& self = Of(parser);
  if (self.phase == Phase::kHead) Extend(self.head.headers.back().value, at, length);
  return 0;
}

int RequestParser::Impl::OnFieldComplete(llhttp_t* parser) {
  Impl& self = Of(parser);
  if (self.phase != Phase::kHead) return 0;
  std::string_view& value = self.head.headers.back().value;
  value = TrimWhitespace(value);
  self.in_field = false;
  return 0;
}

int RequestParser::Impl::OnHeadComplete(llhttp_t* parser) {
  parser->upgrade = 0;  // no switch to another protocol: an Upgrade request is an ordinary one
  Impl& self = Of(parser);
  return self.CheckHead() ? HPE_PAUSED : -1;
}

int RequestParser::Impl::OnBody(llhttp_t* parser, const char* at, std::size_t length) {
  Impl& self = Of(parser);
  if (self.head.chunked && !self.CheckFraming(at)) return HPE_USER;
  self.mark = at + length;
  self.body_bytes += length;
  if (*self.on_body) (*self.on_body)(std::string_view(at, length));
  return 0;
}

int RequestParser::Impl::OnMessageComplete(llhttp_t*) {
  return HPE_PAUSED;
}

RequestParser::RequestParser(RequestLimits limits) : impl_(std::make_unique<Impl>(limits)) {}

RequestParser::~RequestParser() = default;

RequestParser::State RequestParser::Feed(std::string_view input, std::size_t& consumed,
                                         const BodySink& on_body) {
  impl_->on_body = &on_body;
  return impl_->Feed(input, consumed);
}

const RequestHead& RequestParser::head() const {
  return impl_->head;
}

const RequestParser::ParseError& RequestParser::error() const {
  return impl_->error;
}

bool RequestParser::in_message() const {
  return impl_->head.method.data() != nullptr;
}

void RequestParser::Rebase(const char* old_base, const char* new_base) {
  Move(impl_->head.method, old_base, new_base);
  Move(impl_->head.target, old_base, new_base);
  Move(impl_->version, old_base, new_base);
  for (HeaderField& field : impl_->head.headers) {
    Move(field.name, old_base, new_base);
    Move(field.value, old_base, new_base);
  }
}

void RequestParser::Reset() {
  impl_->Reset();
}

}  // namespace gunid
