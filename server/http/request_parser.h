// Bytes to requests (RFC 9112): the request line by request_line.h, field lines by llhttp in strict
// mode and what it lets pass by line_scanner.h, chunks by chunked_decoder.h. A pure function of the
// bytes it is fed: no sockets, no clock. One parser per connection, on the leading thread; it goes
// from request to request.
//
// The head must stay contiguous and in place while it is parsed and used, so the caller keeps it in
// one buffer and feeds only what is new; Rebase() tells the parser when that buffer had to move.
// The parser may write to the head (with some laxities spaces for a line end) and to trailers. Body
// bytes are given out as they come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "http/request_head.h"

namespace gunid {

// Gunicorn's limit_request_line, _fields and _field_size, and limit_request_body; 0: no limit.
struct RequestLimits {
  std::size_t line = 4094;
  std::size_t fields = 100;
  std::size_t field_size = 8190;
  std::uint64_t body = 0;  // in bytes, unframed
};

// What Gunicorn lets a server accept on request, against RFC 9112. The fields have the names of the
// settings.
struct ParserLaxity {
  bool permit_obsolete_folding = false;             // the line ends in a folded field become spaces
  bool strip_header_spaces = false;                 // before the colon
  bool permit_unconventional_http_method = false;   // any token: lower case, '#', any length
  bool permit_unconventional_http_version = false;  // HTTP/DIGIT.DIGIT
  bool casefold_http_method = false;                // methods are taken as if in upper case
};

class RequestParser {
 public:
  enum class State {
    kNeedMore,         // all input was consumed
    kHeadComplete,     // head() is valid; feed on for the body, also if there is none: that gives
                       // kMessageComplete
    kMessageComplete,  // the rest of the input, if any, belongs to the next request
    kError,            // see error()
  };

  struct ParseError {
    int status = 400;    // what to answer before closing
    std::string reason;  // one line for log and client; contains no bytes of the request
  };

  explicit RequestParser(const RequestLimits& limits, const ParserLaxity& laxity = {});
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // Parses from the start of `input` and adds the number of bytes taken to `consumed`. Stops early
  // at the end of the head and at the end of the message. Body bytes are passed to `on_body`, in
  // order and unframed, as views into `input`.
  using BodySink = std::function<void(std::string_view)>;
  State Feed(std::span<char> input, std::size_t& consumed, const BodySink& on_body);

  [[nodiscard]] const RequestHead& head() const;
  [[nodiscard]] RequestHead& head();  // for ApplyForwarding(): views into the input only
  [[nodiscard]] const ParseError& error() const;
  // Whether bytes of a request have been consumed. Not so between requests, also after an empty
  // line; what was consumed by then is not needed again.
  [[nodiscard]] bool in_message() const;

  // The buffer that holds the head was moved from `old_base` to `new_base`.
  void Rebase(const char* old_base, const char* new_base);
  // Forgets the finished request; call before the bytes of the next are fed.
  void Reset();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gunid
