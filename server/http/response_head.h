// From the application's status and headers to the bytes of a response head, and the decision how
// the body is framed. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gunid {

// Names and values; bytes are Latin-1.
using ResponseFields = std::vector<std::pair<std::string, std::string>>;

// What the application gave to start_response, as it will go on the wire. Status line, names and values
// are sound (ParseStatusLine, IsHeaderName, IsHeaderValue).
class ResponseHead {
 public:
  explicit ResponseHead(int status = 500, std::string_view status_line = {},
                        const ResponseFields& fields = {});  // 200, "200 OK"

  // Begins anew, without fields. Memory is kept.
  void Start(int status, std::string_view status_line);
  void Add(std::string_view name, std::string_view value);

  [[nodiscard]] int status() const { return status_; }
  // False: a Content-Length was malformed, or there were several that differ. Such a head is not to
  // be sent.
  [[nodiscard]] bool has_sound_content_length() const { return sound_; }
  [[nodiscard]] std::optional<std::uint64_t> content_length() const { return content_length_; }
  [[nodiscard]] std::size_t capacity() const {  // in bytes
    return status_line_.capacity() + fields_.capacity() + left_out_.capacity();
  }
  // The value of the first field of that name that was added (case-insensitive).
  [[nodiscard]] std::optional<std::string_view> Find(std::string_view name) const;

 private:
  friend struct EncodedHead EncodeHead(const ResponseHead& head,
                                       const struct ResponseContext& context, std::string& out);

  int status_;
  std::string status_line_;
  std::string fields_;    // that are passed on: "Name: value\r\n" each
  std::string left_out_;  // likewise: those that the server decides on
  std::optional<std::uint64_t> content_length_;
  bool sound_ = true;
  bool server_ = false;  // the application has given it, and so on
  bool date_ = false;
  bool close_ = false;
};

enum class BodyFraming {
  kNone,  // no body on the wire: HEAD, 204, 205, 304; what the application yields is dropped
  kContentLength,  // exactly `content_length` bytes
  kChunked,
  kUntilClose,  // HTTP/1.0 without a length
};

// What the head depends on besides the application's headers.
struct ResponseContext {
  bool head_request = false;
  int minor_version = 1;    // of the request
  bool keep_alive = false;  // the client wants it and the server is willing
  std::optional<std::uint64_t>
      known_length;  // of the whole body, if it is known before the head is sent
};

struct EncodedHead {
  BodyFraming framing = BodyFraming::kNone;
  std::uint64_t content_length = 0;
  bool keep_alive = false;  // what was promised to the client
};

// RFC 9110 section 5.6.2 token.
bool IsHeaderName(std::string_view name);
// Visible characters, space, tab and obs-text; no CR, LF, NUL or other control (RFC 9110
// section 5.5).
bool IsHeaderValue(std::string_view value);
// "NNN reason" or "NNN", with NNN in 200..999 and a printable reason; nullopt if it is not. An
// interim status (1xx) is no answer to a request.
std::optional<int> ParseStatusLine(std::string_view status_line);
// RFC 9110 section 7.6.1 and PEP 3333: Connection, Keep-Alive, TE, Trailer, Transfer-Encoding,
// Upgrade, ...
bool IsHopByHop(std::string_view name);

// Appends the head to `out`, ending in the empty line: "HTTP/1.1" whatever minor version the client
// has (RFC 9112 section 2.3), then the application's headers without hop-by-hop ones, Server, Date
// and Connection, and Content-Length or Transfer-Encoding as the framing needs. Server and Date are
// the application's where it gave them.
EncodedHead EncodeHead(const ResponseHead& head, const ResponseContext& context, std::string& out);

// Appends a 103 (Early Hints) response with these fields, without those that frame a message or are
// hop-by-hop (RFC 8297).
void EncodeEarlyHints(const ResponseFields& fields, std::string& out);

}  // namespace gunid
