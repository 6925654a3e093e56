#include "http/response_head.h"

#include <gtest/gtest.h>

#include "http/http_date.h"

namespace gunid {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

ResponseHead Head(const std::string& status_line, const Headers& headers = {}) {
  return ResponseHead(std::stoi(status_line), status_line, headers);
}

// The encoded head without its Date, which is the only part that varies.
std::string Encode(const ResponseHead& head, const ResponseContext& context, EncodedHead& encoded) {
  std::string out = "before|";
  encoded = EncodeHead(head, context, out);
  const std::size_t date = out.find("\r\nDate: ");
  if (date != std::string::npos) out.erase(date, out.find("\r\n", date + 2) - date);
  return out;
}

TEST(ResponseHead, EncodesAWholeHead) {
  EncodedHead encoded;
  const ResponseContext context{.keep_alive = true, .known_length = 5};
  EXPECT_EQ(Encode(Head("200 OK", {{"Content-Type", "text/plain"}, {"X-A", "1"}, {"X-A", "2"}}),
                   context, encoded),
            "before|HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-A: 1\r\nX-A: 2\r\n"
            "Server: gunid\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(encoded.framing, BodyFraming::kContentLength);
  EXPECT_EQ(encoded.content_length, 5u);
  EXPECT_TRUE(encoded.keep_alive);
}

TEST(ResponseHead, DateIsWellFormed) {
  std::string out;
  EncodeHead(Head("200 OK"), {}, out);
  const std::size_t date = out.find("\r\nDate: ") + 8;
  EXPECT_EQ(out.substr(date, out.find("\r\n", date) - date).size(), CurrentHttpDate().size());
}

TEST(ResponseHead, ServerAndDateOfTheApplicationWin) {
  std::string out;
  EncodeHead(Head("200", {{"server", "mine"}, {"DATE", "today"}}), {.known_length = 0}, out);
  EXPECT_EQ(out,
            "HTTP/1.1 200 \r\nserver: mine\r\nDATE: today\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n");
}

TEST(ResponseHead, DropsHopByHopFields) {
  EncodedHead encoded;
  EXPECT_EQ(Encode(Head("200 OK", {{"Connection", "x"},
                                   {"keep-alive", "timeout=5"},
                                   {"TE", "x"},
                                   {"Trailer", "x"},
                                   {"Transfer-Encoding", "chunked"},
                                   {"Upgrade", "x"},
                                   {"Proxy-Connection", "x"},
                                   {"X-Kept", "x"}}),
                   {.keep_alive = true, .known_length = 1}, encoded),
            "before|HTTP/1.1 200 OK\r\nX-Kept: x\r\nServer: gunid\r\nContent-Length: 1\r\n"
            "Connection: keep-alive\r\n\r\n");
  EXPECT_TRUE(encoded.keep_alive);
}

TEST(ResponseHead, Framing) {
  const Headers none;
  const Headers seven = {{"content-length", "7"}};
  struct {
    const char* name;
    const char* status_line;
    Headers headers;
    ResponseContext context;
    BodyFraming framing;
    std::uint64_t content_length;
    const char* field;  // what announces it; nullptr: neither Content-Length nor Transfer-Encoding
    bool keep_alive;
  } const cases[] = {
      {"the application's length",
       "200 OK",
       seven,
       {.keep_alive = true, .known_length = 9},
       BodyFraming::kContentLength,
       7,
       "Content-Length: 7",
       true},
      {"known length",
       "200 OK",
       none,
       {.keep_alive = true, .known_length = 9},
       BodyFraming::kContentLength,
       9,
       "Content-Length: 9",
       true},
      {"largest length",
       "200 OK",
       none,
       {.known_length = 18446744073709551615u},
       BodyFraming::kContentLength,
       18446744073709551615u,
       "Content-Length: 18446744073709551615",
       false},
      {"chunked",
       "200 OK",
       none,
       {.keep_alive = true},
       BodyFraming::kChunked,
       0,
       "Transfer-Encoding: chunked",
       true},
      {"1.0",
       "200 OK",
       none,
       {.minor_version = 0, .keep_alive = true},
       BodyFraming::kUntilClose,
       0,
       nullptr,
       false},
      {"1.0 with length",
       "200 OK",
       seven,
       {.minor_version = 0, .keep_alive = true},
       BodyFraming::kContentLength,
       7,
       "Content-Length: 7",
       true},
      {"HEAD with length",
       "200 OK",
       seven,
       {.head_request = true, .keep_alive = true},
       BodyFraming::kNone,
       0,
       "Content-Length: 7",
       true},
      {"HEAD, 1.0",
       "200 OK",
       none,
       {.head_request = true, .minor_version = 0, .keep_alive = true},
       BodyFraming::kNone,
       0,
       nullptr,
       true},
      {"304",
       "304 Not Modified",
       none,
       {.keep_alive = true, .known_length = 0},
       BodyFraming::kNone,
       0,
       nullptr,
       true},
      {"304 with length",
       "304 Not Modified",
       seven,
       {.keep_alive = true},
       BodyFraming::kNone,
       0,
       "Content-Length: 7",
       true},
      {"204",
       "204 No Content",
       seven,
       {.keep_alive = true, .known_length = 0},
       BodyFraming::kNone,
       0,
       nullptr,
       true},
      {"HEAD, 204",
       "204 No Content",
       seven,
       {.head_request = true, .keep_alive = true},
       BodyFraming::kNone,
       0,
       nullptr,
       true},
      {"205 says that it is empty",
       "205 Reset Content",
       seven,
       {.keep_alive = true},
       BodyFraming::kNone,
       0,
       "Content-Length: 0",
       true},
      {"HEAD of a body that is known",
       "200 OK",
       {},
       {.head_request = true, .keep_alive = true, .known_length = 9},
       BodyFraming::kNone,
       0,
       "Content-Length: 9",
       true},
      {"HEAD of a body that the application left out",
       "200 OK",
       {},
       {.head_request = true, .keep_alive = true, .known_length = 0},
       BodyFraming::kNone,
       0,
       nullptr,
       true},
      {"the server wants to close",
       "200 OK",
       seven,
       {},
       BodyFraming::kContentLength,
       7,
       "Content-Length: 7",
       false},
      {"the application wants to close",
       "200 OK",
       {{"Content-Length", "7"}, {"Connection", "x, Close"}},
       {.keep_alive = true},
       BodyFraming::kContentLength,
       7,
       "Content-Length: 7",
       false},
      {"the same length twice",
       "200 OK",
       {{"Content-Length", "7"}, {"Content-Length", "7"}},
       {.keep_alive = true},
       BodyFraming::kContentLength,
       7,
       "Content-Length: 7",
       true},
      {"a malformed length is not passed on",
       "200 OK",
       {{"Content-Length", "7x"}},
       {.keep_alive = true},
       BodyFraming::kChunked,
       0,
       "Transfer-Encoding: chunked",
       true},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.name);
    EncodedHead encoded;
    const std::string out = Encode(Head(test.status_line, test.headers), test.context, encoded);
    const std::string connection = test.keep_alive ? "keep-alive" : "close";
    const std::string announced = test.field ? std::string("\r\n") + test.field : "";
    EXPECT_EQ(out, std::string("before|HTTP/1.1 ") + test.status_line + "\r\nServer: gunid" +
                       announced + "\r\nConnection: " + connection + "\r\n\r\n");
    EXPECT_EQ(encoded.framing, test.framing);
    EXPECT_EQ(encoded.content_length, test.content_length);
    EXPECT_EQ(encoded.keep_alive, test.keep_alive);
  }
}

TEST(ResponseHead, SoundContentLength) {
  const auto is_sound = [](const Headers& headers) {
    return Head("200 OK", headers).has_sound_content_length();
  };
  EXPECT_TRUE(is_sound({}));
  EXPECT_TRUE(is_sound({{"Content-Length", "3"}}));
  EXPECT_TRUE(is_sound({{"Content-Length", "3"}, {"content-length", "3"}}));
  EXPECT_FALSE(is_sound({{"Content-Length", "3"}, {"content-length", "4"}}));
  EXPECT_FALSE(is_sound({{"Content-Length", "-3"}}));
  EXPECT_FALSE(is_sound({{"Content-Length", "-3"}, {"Content-Length", "3"}}));
  EXPECT_FALSE(is_sound({{"Content-Length", ""}}));
}

TEST(ResponseHead, BeginsAnew) {
  ResponseHead head = Head("500 No", {{"Content-Length", "9"},
                                      {"Server", "mine"},
                                      {"Date", "now"},
                                      {"Connection", "close"},
                                      {"X-A", "1"},
                                      {"Content-Length", "x"}});
  EXPECT_FALSE(head.has_sound_content_length());
  head.Add("Content-Length", "9");
  head.Start(200, "200 OK");
  EXPECT_EQ(head.content_length(), std::nullopt);
  EXPECT_EQ(head.Find("Connection"), std::nullopt);
  EXPECT_EQ(head.Find("X-A"), std::nullopt);
  head.Add("X-B", "2");
  EXPECT_EQ(head.status(), 200);
  EXPECT_TRUE(head.has_sound_content_length());
  EncodedHead encoded;
  EXPECT_EQ(Encode(head, {.keep_alive = true, .known_length = 1}, encoded),
            "before|HTTP/1.1 200 OK\r\nX-B: 2\r\nServer: gunid\r\nContent-Length: 1\r\n"
            "Connection: keep-alive\r\n\r\n");
  std::string dated;
  EncodeHead(head, {}, dated);
  EXPECT_NE(dated.find("\r\nDate: "), std::string::npos);
}

TEST(ResponseHead, FindsWhatTheApplicationGave) {
  const ResponseHead head = Head("200 OK", {{"X-A", "1"},
                                            {"Connection", "close"},
                                            {"x-a", "2"},
                                            {"X-Empty", ""},
                                            {"X-Colon", "a: b"},
                                            {"Content-Length", "3"}});
  EXPECT_EQ(head.Find("x-A"), "1");
  EXPECT_EQ(head.Find("content-length"), "3");
  EXPECT_EQ(head.Find("connection"), "close");
  EXPECT_EQ(head.Find("X-Empty"), "");
  EXPECT_EQ(head.Find("X-Colon"), "a: b");
  EXPECT_EQ(head.Find("X"), std::nullopt);
  EXPECT_EQ(head.Find("Server"), std::nullopt);
}

TEST(ResponseHead, HeaderNames) {
  for (const char* name : {"X", "X-Y_z", "!#$%&'*+-.^_`|~09"}) EXPECT_TRUE(IsHeaderName(name));
  for (const char* name : {"", "X Y", "X:", "X\r", "X\n", "\xe9", "a(b)", "a\x7f"}) {
    EXPECT_FALSE(IsHeaderName(name)) << name;
  }
}

TEST(ResponseHead, HeaderValues) {
  for (const char* value : {"", "a b\tc", "\xe9\xff", "\x80"}) EXPECT_TRUE(IsHeaderValue(value));
  for (const std::string_view value :
       {std::string_view("a\rb"), std::string_view("a\nb"), std::string_view("a\0b", 3),
        std::string_view("\x1f"), std::string_view("\x7f")}) {
    EXPECT_FALSE(IsHeaderValue(value));
  }
}

TEST(ResponseHead, StatusLines) {
  EXPECT_EQ(ParseStatusLine("200 OK"), 200);
  EXPECT_EQ(ParseStatusLine("999 Odd \xe9"), 999);
  EXPECT_EQ(ParseStatusLine("200"), 200);
  EXPECT_EQ(ParseStatusLine("404 "), 404);
  for (const char* line :
       {"", "2", "20", "20 OK", "100 Continue", "101", "199 x", "099 x", "2000 x", "200OK",
        " 200 OK", "-20 x", "+20 x", "abc", "200 a\r\nX: y", "200\tOK"}) {
    EXPECT_EQ(ParseStatusLine(line), std::nullopt) << line;
  }
}

TEST(ResponseHead, EarlyHintsHaveNeitherFramingNorHopByHopFields) {
  std::string out = "before ";
  EncodeEarlyHints({{"Link", "</a>"},
                    {"Content-Length", "3"},
                    {"Connection", "close"},
                    {"Transfer-Encoding", "chunked"},
                    {"Link", "</b>"}},
                   out);
  EXPECT_EQ(out, "before HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n");
}

TEST(ResponseHead, HopByHop) {
  for (const char* name :
       {"connection", "Keep-Alive", "TE", "Trailer", "Trailers", "Upgrade", "TRANSFER-ENCODING",
        "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization"}) {
    EXPECT_TRUE(IsHopByHop(name)) << name;
  }
  for (const char* name : {"", "Date", "Server", "Content-Length", "Content-Type", "ET"}) {
    EXPECT_FALSE(IsHopByHop(name)) << name;
  }
}

}  // namespace
}  // namespace gunid
