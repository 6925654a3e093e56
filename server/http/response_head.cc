#include "http/response_head.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "http/field_syntax.h"
#include "http/http_date.h"

namespace gunid {
namespace {

// What is to be done with a field.
enum class FieldKind { kPlain, kContentLength, kServer, kDate, kConnection, kHopByHop };

FieldKind Classify(std::string_view name) {
  const auto kind_if = [name](std::string_view other, FieldKind kind) {
    return EqualsIgnoreCase(name, other) ? kind : FieldKind::kPlain;
  };
  switch (name.size()) {
    case 2:
      return kind_if("TE", FieldKind::kHopByHop);
    case 4:
      return kind_if("Date", FieldKind::kDate);
    case 6:
      return kind_if("Server", FieldKind::kServer);
    case 7:
      if (EqualsIgnoreCase(name, "Trailer")) return FieldKind::kHopByHop;
      return kind_if("Upgrade", FieldKind::kHopByHop);
    case 8:
      return kind_if("Trailers", FieldKind::kHopByHop);
    case 10:
      if (EqualsIgnoreCase(name, "Connection")) return FieldKind::kConnection;
      return kind_if("Keep-Alive", FieldKind::kHopByHop);
    case 14:
      return kind_if("Content-Length", FieldKind::kContentLength);
    case 16:
      return kind_if("Proxy-Connection", FieldKind::kHopByHop);
    case 17:
      return kind_if("Transfer-Encoding", FieldKind::kHopByHop);
    case 18:
      return kind_if("Proxy-Authenticate", FieldKind::kHopByHop);
    case 19:
      return kind_if("Proxy-Authorization", FieldKind::kHopByHop);
    default:
      return FieldKind::kPlain;
  }
}

bool IsVisible(unsigned char c) {
  return (c >= 0x20 && c != 0x7f) || c == '\t';
}

constexpr std::string_view kSeparator = ": ";
constexpr std::string_view kLineEnd = "\r\n";

// In one step: each append of its own would look at the capacity again.
void AppendField(std::string_view name, std::string_view value, std::string& out) {
  const std::size_t start = out.size();
  out.resize(start + name.size() + kSeparator.size() + value.size() + kLineEnd.size());
  char* at = out.data() + start;
  for (const std::string_view part : {name, kSeparator, value, kLineEnd}) {
    std::memcpy(at, part.data(), part.size());
    at += part.size();
  }
}

// The end of a head: the fields of the server's own. None is longer than its longest value allows.
class HeadEnd {
 public:
  void Add(std::string_view text) {
    std::memcpy(text_.data() + size_, text.data(), text.size());
    size_ += text.size();
  }
  void AddContentLength(std::uint64_t length) {
    Add("Content-Length: ");
    char* const digits = text_.data() + size_;
    size_ = std::to_chars(digits, digits + kMostDigits, length).ptr - text_.data();
    Add(kLineEnd);
  }
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }

 private:
  static constexpr std::size_t kMostDigits = 20;

  // Server, Date, Content-Length or Transfer-Encoding, Connection and the empty line: below 150.
  std::array<char, 256> text_;
  std::size_t size_ = 0;
};

// Decides the framing and adds the field that announces it.
void AddFraming(const ResponseHead& head, const ResponseContext& context, EncodedHead& encoded,
                HeadEnd& end) {
  const int status = head.status();
  const std::optional<std::uint64_t> app_length = head.content_length();
  if (status == 204) return;
  if (status == 205) {  // RFC 9110 section 15.3.6: it has no content, and has to say so
    end.AddContentLength(0);
  } else if (context.head_request || status == 304) {
    // What the application gives to a HEAD request may be less than it would give to a GET.
    const bool known = context.head_request && context.known_length.value_or(0) > 0;
    if (const auto length = app_length || !known ? app_length : context.known_length) {
      end.AddContentLength(*length);
    }
  } else if (const auto length = app_length ? app_length : context.known_length) {
    encoded.framing = BodyFraming::kContentLength;
    encoded.content_length = *length;
    end.AddContentLength(*length);
  } else if (context.minor_version >= 1) {
    encoded.framing = BodyFraming::kChunked;
    end.Add("Transfer-Encoding: chunked\r\n");
  } else {
    encoded.framing = BodyFraming::kUntilClose;
  }
}

// Of fields as they go on the wire.
std::optional<std::string_view> FindField(std::string_view lines, std::string_view name) {
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find(kLineEnd));
    lines.remove_prefix(line.size() + kLineEnd.size());
    const std::size_t end = line.find(kSeparator);
    if (EqualsIgnoreCase(line.substr(0, end), name)) return line.substr(end + kSeparator.size());
  }
  return std::nullopt;
}

}  // namespace

bool IsHeaderName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), IsTokenChar);
}

bool IsHeaderValue(std::string_view value) {
  return std::all_of(value.begin(), value.end(), IsVisible);
}

std::optional<int> ParseStatusLine(std::string_view status_line) {
  int status = 0;
  const char* end = status_line.data() + std::min<std::size_t>(status_line.size(), 3);
  const auto [stop, error] = std::from_chars(status_line.data(), end, status);
  if (error != std::errc() || stop != status_line.data() + 3 || status < 200) return std::nullopt;
  if (status_line.size() > 3 && status_line[3] != ' ') return std::nullopt;
  return IsHeaderValue(status_line) ? std::optional(status) : std::nullopt;
}

bool IsHopByHop(std::string_view name) {
  const FieldKind kind = Classify(name);
  return kind == FieldKind::kHopByHop || kind == FieldKind::kConnection;
}

ResponseHead::ResponseHead(int status, std::string_view status_line, const ResponseFields& fields)
    : status_(status), status_line_(status_line) {
  for (const auto& [name, value] : fields) Add(name, value);
}

void ResponseHead::Start(int status, std::string_view status_line) {
  status_ = status;
  status_line_ = status_line;
  fields_.clear();
  left_out_.clear();
  content_length_.reset();
  sound_ = true;
  server_ = date_ = close_ = false;
}

void ResponseHead::Add(std::string_view name, std::string_view value) {
  switch (Classify(name)) {
    case FieldKind::kContentLength: {
      const std::optional<std::uint64_t> length = ParseContentLength(value);
      sound_ &= length && content_length_.value_or(*length) == *length;
      content_length_ = length;
      return AppendField(name, value, left_out_);
    }
    case FieldKind::kConnection:
      close_ |= ListContains(value, "close");
      return AppendField(name, value, left_out_);
    case FieldKind::kHopByHop:
      return AppendField(name, value, left_out_);
    case FieldKind::kServer:
      server_ = true;
      break;
    case FieldKind::kDate:
      date_ = true;
      break;
    case FieldKind::kPlain:
      break;
  }
  AppendField(name, value, fields_);
}

std::optional<std::string_view> ResponseHead::Find(std::string_view name) const {
  const auto passed_on = FindField(fields_, name);
  return passed_on ? passed_on : FindField(left_out_, name);
}

EncodedHead EncodeHead(const ResponseHead& head, const ResponseContext& context, std::string& out) {
  EncodedHead encoded;
  HeadEnd end;
  if (!head.server_) end.Add("Server: gunid\r\n");
  if (!head.date_) {
    end.Add("Date: ");
    end.Add(CurrentHttpDate());
    end.Add(kLineEnd);
  }
  AddFraming(head, context, encoded, end);
  encoded.keep_alive =
      context.keep_alive && !head.close_ && encoded.framing != BodyFraming::kUntilClose;
  end.Add(encoded.keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");

  constexpr std::string_view kVersion = "HTTP/1.1 ";
  out.reserve(out.size() + kVersion.size() + head.status_line_.size() + 3 + head.fields_.size() +
              end.view().size());
  out.append(kVersion).append(head.status_line_);
  out.append(head.status_line_.size() == 3 ? " \r\n" : "\r\n");  // the space is not optional
  out.append(head.fields_).append(end.view());
  return encoded;
}

void EncodeEarlyHints(const ResponseFields& fields, std::string& out) {
  out.append("HTTP/1.1 103 Early Hints\r\n");
  for (const auto& [name, value] : fields) {
    const FieldKind kind = Classify(name);
    const bool of_final_response = kind == FieldKind::kContentLength || IsHopByHop(name);
    if (!of_final_response) AppendField(name, value, out);
  }
  out.append("\r\n");
}

}  // namespace gunid
