#include "http/response_head.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>

#include "http/field_syntax.h"
#include "http/http_date.h"

namespace gunid {
namespace {

// What EncodeHead has to do with a field.
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

// In one step: each append of its own would look at the capacity again.
void Append(std::initializer_list<std::string_view> parts, std::string& out) {
  std::size_t size = out.size();
  for (const std::string_view part : parts) size += part.size();
  std::size_t at = out.size();
  out.resize(size);
  for (const std::string_view part : parts) at += part.copy(out.data() + at, part.size());
}

void AppendField(std::string_view name, std::string_view value, std::string& out) {
  Append({name, ": ", value, "\r\n"}, out);
}

void AppendContentLength(std::uint64_t length, std::string& out) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), length).ptr;
  AppendField("Content-Length", std::string_view(digits.data(), end - digits.data()), out);
}

// What the application's fields say beyond what is passed on.
struct FieldSummary {
  std::optional<std::uint64_t> content_length;
  bool server = false;
  bool date = false;
  bool close = false;
};

FieldSummary AppendFields(const ResponseHead& head, std::string& out) {
  FieldSummary summary;
  for (const auto& [name, value] : head.headers) {
    const FieldKind kind = Classify(name);
    switch (kind) {
      case FieldKind::kContentLength:
        summary.content_length = ParseContentLength(value);
        continue;
      case FieldKind::kConnection:
        summary.close |= ListContains(value, "close");
        continue;
      case FieldKind::kHopByHop:
        continue;
      case FieldKind::kServer:
        summary.server = true;
        break;
      case FieldKind::kDate:
        summary.date = true;
        break;
      case FieldKind::kPlain:
        break;
    }
    AppendField(name, value, out);
  }
  return summary;
}

// Decides the framing and appends the field that announces it.
void AppendFraming(int status, const ResponseContext& context,
                   std::optional<std::uint64_t> app_length, EncodedHead& encoded,
                   std::string& out) {
  if (status == 204) return;
  if (status == 205) {  // RFC 9110 section 15.3.6: it has no content, and has to say so
    AppendContentLength(0, out);
  } else if (context.head_request || status == 304) {
    // What the application gives to a HEAD request may be less than it would give to a GET.
    const bool known = context.head_request && context.known_length.value_or(0) > 0;
    if (const auto length = app_length || !known ? app_length : context.known_length) {
      AppendContentLength(*length, out);
    }
  } else if (const auto length = app_length ? app_length : context.known_length) {
    encoded.framing = BodyFraming::kContentLength;
    encoded.content_length = *length;
    AppendContentLength(*length, out);
  } else if (context.minor_version >= 1) {
    encoded.framing = BodyFraming::kChunked;
    out.append("Transfer-Encoding: chunked\r\n");
  } else {
    encoded.framing = BodyFraming::kUntilClose;
  }
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

bool HasSoundContentLength(const ResponseHead& head) {
  std::optional<std::uint64_t> first;
  for (const auto& [name, value] : head.headers) {
    if (Classify(name) != FieldKind::kContentLength) continue;
    const std::optional<std::uint64_t> length = ParseContentLength(value);
    if (!length || first.value_or(*length) != *length) return false;
    first = length;
  }
  return true;
}

EncodedHead EncodeHead(const ResponseHead& head, const ResponseContext& context, std::string& out) {
  EncodedHead encoded;
  // The space is not optional.
  Append({"HTTP/1.1 ", head.status_line, head.status_line.size() == 3 ? " \r\n" : "\r\n"}, out);
  const FieldSummary summary = AppendFields(head, out);
  if (!summary.server) out.append("Server: gunid\r\n");
  if (!summary.date) AppendField("Date", CurrentHttpDate(), out);
  AppendFraming(head.status, context, summary.content_length, encoded, out);

  encoded.keep_alive =
      context.keep_alive && !summary.close && encoded.framing != BodyFraming::kUntilClose;
  out.append(encoded.keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
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
