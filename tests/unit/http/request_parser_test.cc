#include "http/request_parser.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace gunid {
namespace {

using State = RequestParser::State;

// Where the input is cut before it is fed; the last entry is its size.
using Cuts = std::vector<std::size_t>;

// Plays the connection: keeps the bytes from the start of the current request on in one heap buffer
// of exactly their size, which moves with every read, so that the sanitizer sees an over-read and a
// stale view.
class Feeder {
 public:
  explicit Feeder(RequestLimits limits) : parser_(limits) {}

  // What came of it, as text: a paragraph for each request, and what the last one lacks or why it
  // was refused.
  std::string Run(std::string_view text, const Cuts& cuts) {
    for (const std::size_t cut : cuts) {
      Receive(text.substr(message_start_, cut - message_start_));
      if (!ParseReceived()) {
        return log_ + "error " + std::to_string(parser_.error().status) + " " +
               parser_.error().reason;
      }
    }
    return log_ + (parser_.in_message() ? "in message" : "idle");
  }

 private:
  void Receive(std::string_view bytes) {
    auto moved = std::make_unique<char[]>(bytes.size());
    std::memcpy(moved.get(), bytes.data(), bytes.size());
    const char* old_base = buffer_.get() + (message_start_ - buffer_start_);
    parser_.Rebase(old_base, moved.get());
    buffer_ = std::move(moved);
    buffer_start_ = message_start_;
    received_ = message_start_ + bytes.size();
  }

  bool ParseReceived() {
    while (true) {
      const std::string_view input(buffer_.get() + (parsed_ - buffer_start_), received_ - parsed_);
      std::size_t consumed = 0;
      const State state =
          parser_.Feed(input, consumed, [this](std::string_view part) { body_ += part; });
      parsed_ += consumed;
      if (state == State::kError) return false;
      if (state == State::kNeedMore) {
        EXPECT_EQ(parsed_, received_);
        return true;
      }
      if (state == State::kHeadComplete) {
        EXPECT_EQ(text_of_head_end(), "\r\n\r\n");
        continue;
      }
      Log();
      parser_.Reset();
      body_.clear();
      message_start_ = parsed_;
      if (parsed_ == received_) return true;
    }
  }

  std::string_view text_of_head_end() const {
    return {buffer_.get() + (parsed_ - buffer_start_) - 4, 4};
  }

  void Log() {
    const RequestHead& head = parser_.head();
    log_ += std::string(head.method) + " " + std::string(head.target) + " 1." +
            std::to_string(head.minor_version);
    if (head.keep_alive) log_ += " keep-alive";
    if (head.chunked) log_ += " chunked";
    if (head.expect_continue) log_ += " expect";
    if (head.content_length) log_ += " length=" + std::to_string(*head.content_length);
    for (const HeaderField& field : head.headers) {
      log_ += "\n" + std::string(field.name) + "=" + std::string(field.value) + ".";
    }
    log_ += "\n[" + body_ + "]\n";
  }

  RequestParser parser_;
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(0);
  std::size_t buffer_start_ = 0;  // these are offsets in the text
  std::size_t message_start_ = 0;
  std::size_t parsed_ = 0;
  std::size_t received_ = 0;
  std::string body_;
  std::string log_;
};

std::string ParseWhole(std::string_view text, RequestLimits limits = {}) {
  return Feeder(limits).Run(text, {text.size()});
}

std::string ParseByteByByte(std::string_view text, RequestLimits limits = {}) {
  Cuts cuts;
  for (std::size_t i = 1; i <= text.size(); ++i) cuts.push_back(i);
  return Feeder(limits).Run(text, cuts);
}

// The outcome, after making sure that it does not depend on how the input arrives.
std::string Parse(std::string_view text, RequestLimits limits = {}) {
  const std::string whole = ParseWhole(text, limits);
  EXPECT_EQ(ParseByteByByte(text, limits), whole);
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    EXPECT_EQ(Feeder(limits).Run(text, {cut, text.size()}), whole) << "cut at " << cut;
  }
  return whole;
}

// The status of the refusal, 0 if the text was not refused.
int RefusalStatus(std::string_view text, RequestLimits limits = {}) {
  const std::string outcome = Parse(text, limits);
  const std::size_t error = outcome.rfind("error ");
  return error == std::string::npos ? 0 : std::stoi(outcome.substr(error + 6));
}

// A request whose fields are `fields`, each ending in CRLF, after a Host field.
std::string Get(const std::string& fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

std::string Chunked(const std::string& body) {
  return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body;
}

struct Accepted {
  const char* text;
  const char* outcome;
};

TEST(RequestParser, Accepts) {
  const Accepted cases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 keep-alive\nHost=a.\n[]\nidle"},
      {"GET / HTTP/1.0\r\n\r\n", "GET / 1.0\n[]\nidle"},
      // One empty line may precede the request line.
      {"\r\nGET / HTTP/1.0\r\n\r\n", "GET / 1.0\n[]\nidle"},
      {"\r\n", "idle"},
      {"G", "in message"},
      {"GET / HTTP/1.1\r\nHost: a\r\n", "in message"},
      // Whitespace round a value is not part of it; inside it is.
      {"GET /a%20b?c=d HTTP/1.1\r\nHost:a\r\nX-Empty:\r\nX-Blank: \t \r\nx-Y: \t b \t c \t\r\n\r\n",
       "GET /a%20b?c=d 1.1 keep-alive\nHost=a.\nX-Empty=.\nX-Blank=.\nx-Y=b \t c.\n[]\nidle"},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / 1.1 keep-alive\nHost=.\n[]\nidle"},
      {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * 1.1 keep-alive\nHost=a.\n[]\nidle"},
      {"GET http://a:80/b?c HTTP/1.1\r\nHost: a:80\r\n\r\n",
       "GET http://a:80/b?c 1.1 keep-alive\nHost=a:80.\n[]\nidle"},
      {"GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n",
       "GET / 1.1 keep-alive\nHost=[::1]:8000.\n[]\nidle"},
      // Bodies.
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
       "POST / 1.1 keep-alive length=5\nHost=a.\nContent-Length=5.\n[hello]\nidle"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
       "POST / 1.1 keep-alive length=0\nHost=a.\nContent-Length=0.\n[]\nidle"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell", "in message"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked \r\n\r\n"
       "3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n",
       "POST / 1.1 keep-alive chunked\nHost=a.\nTransfer-Encoding=Chunked.\n[abc0123456789]\nidle"},
      // Chunk extensions are skipped, trailers are dropped.
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
       "3;c=\"d\";e=f\r\nabc\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\nX-Empty:\r\n\r\n",
       "POST / 1.1 keep-alive chunked\nHost=a.\nTransfer-Encoding=chunked.\n[abc]\nidle"},
      // Pipelined.
      {"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab\r\nGET /2 HTTP/1.0\r\n\r\n"
       "GET /3 HTTP/1.0\r\nX: y\r\n\r\nGET",
       "POST /1 1.1 keep-alive length=2\nHost=a.\nContent-Length=2.\n[ab]\nGET /2 1.0\n[]\n"
       "GET /3 1.0\nX=y.\n[]\nin message"},
      {"POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: "
       "u\r\n\r\n"
       "GET /2 HTTP/1.0\r\n\r\n",
       "POST /1 1.1 keep-alive chunked\nHost=a.\nTransfer-Encoding=chunked.\n[x]\nGET /2 1.0\n[]\n"
       "idle"},
      // No switch to another protocol, with a body or without.
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nGET / "
       "HTTP/1.0\r\n\r\n",
       "GET / 1.1 keep-alive\nHost=a.\nConnection=upgrade.\nUpgrade=h2c.\n[]\nGET / 1.0\n[]\nidle"},
      {"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: "
       "1\r\n\r\n!",
       "POST / 1.1 keep-alive length=1\nHost=a.\nConnection=upgrade.\nUpgrade=x.\n"
       "Content-Length=1.\n[!]\nidle"},
      // A request after one that asked for the close is parsed all the same; serving it is not the
      // parser's choice.
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.0\r\n\r\n",
       "GET / 1.1\nHost=a.\nConnection=close.\n[]\nGET / 1.0\n[]\nidle"},
  };
  for (const Accepted& test : cases) EXPECT_EQ(Parse(test.text), test.outcome) << test.text;
}

struct Refused {
  std::string text;
  int status;
};

TEST(RequestParser, RefusesRequestLines) {
  const Refused cases[] = {
      {"\x16\x03\x01\x02", 400},  // TLS
      {" GET / HTTP/1.1\r\n", 400},
      {"\r\n\r\nGET / HTTP/1.1\r\n", 400},
      {"\nGET / HTTP/1.1\r\n", 400},
      {"\rGET / HTTP/1.1\r\n", 400},
      {"GET / HTTP/1.1\nHost: a\n\n", 400},
      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
      {"GET / x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /\r\n\r\n", 400},
      {"GET HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      // Methods.
      {"GETX / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {"GE / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {"PLAY / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      // Versions and protocols.
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
      {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
      {"GET / HTTP/3.7\r\nHost: a\r\n\r\n", 505},
      {"GET / HTTP/1.1x\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/11\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/x.1\r\nHost: a\r\n\r\n", 400},
      {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / RTSP/1.0\r\n\r\n", 400},
      {"SOURCE / ICE/1.0\r\n\r\n", 400},
      // Targets.
      {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /#fragment HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  };
  for (const Refused& test : cases) EXPECT_EQ(RefusalStatus(test.text), test.status) << test.text;
}

TEST(RequestParser, RefusesFields) {
  const Refused cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400},
      {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", 400},
      {Get("X: y\r\n z\r\n"), 400},
      {Get("X: y\r\n\tz\r\n"), 400},
      {Get("X:\r\n z\r\n"), 400},
      {Get("X: y\r\n \r\n"), 400},
      {Get(" Content-Length: 3\r\n"), 400},
      {Get("X: y\n"), 400},
      {Get("X: y\rZ: 1\r\n"), 400},
      {Get("X:\rTransfer-Encoding: chunked\r\n"), 400},
      {Get("X : y\r\n"), 400},
      {Get("X\r\n"), 400},
      {Get(": y\r\n"), 400},
      {Get("X Y: z\r\n"), 400},
      {Get("Content-Type: a/b\r\nContent-type: a/b\r\n"), 400},
      {Get("Expect: 200-maybe\r\n"), 417},
      {Get("Expect: 100-continue, x\r\n"), 417},
      {Get("Expect:\r\n"), 417},
      // Content-Length.
      {Get("Content-Length:\r\n"), 400},
      {Get("Content-Length: x\r\n"), 400},
      {Get("Content-Length: +3\r\n"), 400},
      {Get("Content-Length: -3\r\n"), 400},
      {Get("Content-Length: 0x3\r\n"), 400},
      {Get("Content-Length: 3 3\r\n"), 400},
      {Get("Content-Length: 3,3\r\n"), 400},
      {Get("Content-Length: 3.0\r\n"), 400},
      {Get("Content-Length: 18446744073709551616\r\n"), 400},
      {Get("Content-Length: 3\r\nContent-Length: 3\r\n"), 400},
      {Get("Content-Length: 3\r\ncontent-length: 4\r\n"), 400},
      // Transfer-Encoding.
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {Get("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400},
      {Get("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), 400},
      {Get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
      {Get("Transfer-Encoding: chunked, chunked\r\n"), 400},
      {Get("Transfer-Encoding: chunked, identity\r\n"), 400},
      {Get("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n"), 400},
      {Get("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), 501},
      {Get("Transfer-Encoding: gzip, chunked\r\n"), 501},
      {Get("Transfer-Encoding: gzip\r\n"), 501},
      {Get("Transfer-Encoding: identity\r\n"), 501},
      {Get("Transfer-Encoding: xchunked\r\n"), 501},
      {Get("Transfer-Encoding: chunked;q=1\r\n"), 501},
      {Get("Transfer-Encoding:\r\n"), 400},
      {Get("Transfer-Encoding: ,chunked\r\n"), 400},
      {Get("Transfer-Encoding: chun ked\r\n"), 400},
      {Get("Transfer-Encoding: \"chunked\"\r\n"), 400},
      {Get("Transfer-Encoding: \vchunked\r\n"), 400},
  };
  for (const Refused& test : cases) EXPECT_EQ(RefusalStatus(test.text), test.status) << test.text;
}

TEST(RequestParser, RefusesChunkedBodies) {
  const char* cases[] = {
      "g\r\n",
      "-1\r\n",
      "0x1\r\na\r\n",
      " 1\r\na\r\n",
      "1 \r\na\r\n0\r\n\r\n",
      "\r\n",
      "1\na\r\n",
      "1\r\nab\r\n",
      "1\r\na0\r\n\r\n",
      "1\r\na\n0\r\n\r\n",
      "fffffffffffffffff\r\n",
      "1;a\nx\r\n0\r\n\r\n",
      "1;a=\"\r\n\"\r\nx\r\n0\r\n\r\n",
      "1;a\rb\r\nx\r\n0\r\n\r\n",
      "1;a=\"\x01\"\r\nx\r\n0\r\n\r\n",
      "0\r\nX\r\n\r\n",
      "0\r\n X: y\r\n\r\n",
      "0\r\nX: y\r\n z\r\n\r\n",
      "0\r\nX: y\n\r\n",
      "0\r\n: y\r\n\r\n",
      "0\r\nTransfer-Encoding: chunked\r\n\r\n",
      "0\r\n\rX",
  };
  for (const char* body : cases) EXPECT_EQ(RefusalStatus(Chunked(body)), 400) << body;
}

// Every byte value in every part of the head, against the grammar of RFC 9110 and 9112.
TEST(RequestParser, JudgesEveryByte) {
  const std::string token_specials = "!#$%&'*+-.^_`|~";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool token =
        std::isalnum(byte) != 0 || (byte != 0 && token_specials.find(c) != std::string::npos);
    const bool in_value = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    const bool in_target = byte > 0x20 && byte < 0x7f && c != '#';
    EXPECT_EQ(RefusalStatus(Get(std::string("X") + c + "y: 1\r\n")) == 0, token || c == ':')
        << byte;
    EXPECT_EQ(RefusalStatus(Get(std::string("X: a") + c + "b\r\n")) == 0, in_value) << byte;
    EXPECT_EQ(RefusalStatus(std::string("GET /a") + c + "b HTTP/1.0\r\n\r\n") == 0, in_target)
        << byte;
    EXPECT_EQ(RefusalStatus(std::string("GET /?a") + c + "b HTTP/1.0\r\n\r\n") == 0, in_target)
        << byte;
  }
}

TEST(RequestParser, KeepAlive) {
  struct {
    const char* version;
    const char* fields;
    bool keep_alive;
  } const cases[] = {
      {"1.1", "", true},
      {"1.1", "Connection: close\r\n", false},
      {"1.1", "Connection: x, CLOSE ,y\r\n", false},
      {"1.1", "Connection: x\r\nConnection: close\r\n", false},
      {"1.1", "Connection: keep-alive, close\r\n", false},
      {"1.1", "Connection: closed\r\n", true},
      {"1.1", "Connection:\r\n", true},
      {"1.0", "", false},
      {"1.0", "Connection: Keep-Alive\r\n", true},
      {"1.0", "Connection: x,keep-alive\r\n", true},
      {"1.0", "Connection: keep-alive\r\nConnection: close\r\n", false},
  };
  for (const auto& test : cases) {
    const std::string text =
        std::string("GET / HTTP/") + test.version + "\r\nHost: a\r\n" + test.fields + "\r\n";
    const std::string outcome = Parse(text);
    const std::string first_line = outcome.substr(0, outcome.find('\n'));
    EXPECT_EQ(first_line.find(" keep-alive") != std::string::npos, test.keep_alive) << text;
  }
}

TEST(RequestParser, ExpectContinue) {
  EXPECT_EQ(
      Parse("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx"),
      "PUT / 1.1 keep-alive expect length=1\nHost=a.\nExpect=100-Continue.\n"
      "Content-Length=1.\n[x]\nidle");
  EXPECT_EQ(Parse("PUT / HTTP/1.0\r\nExpect: anything\r\n\r\n"),
            "PUT / 1.0\nExpect=anything.\n[]\nidle");
}

TEST(RequestParser, LimitsTheRequestLine) {
  const RequestLimits limits{.line = 20, .fields = 2, .field_size = 12};
  const std::string fits = "GET /aaaaaa HTTP/1.0";  // 20 bytes
  EXPECT_EQ(RefusalStatus(fits + "\r\n\r\n", limits), 0);
  EXPECT_EQ(RefusalStatus("\r\n" + fits + "\r\n\r\n", limits), 0);
  EXPECT_EQ(RefusalStatus("GET /aaaaaaa HTTP/1.0\r\n\r\n", limits), 414);
  EXPECT_EQ(RefusalStatus("GET /aaaaaaaaaaaaaaaaa", limits), 414);  // already now
  EXPECT_EQ(RefusalStatus("GET /aaaaaaaaaaaaaaaa", limits), 0);
  EXPECT_EQ(RefusalStatus("GET /" + std::string(9000, 'a') + " HTTP/1.0\r\n\r\n", {.line = 0}), 0);
}

TEST(RequestParser, LimitsTheFields) {
  const RequestLimits limits{.line = 20, .fields = 2, .field_size = 12};
  const std::string line = "GET / HTTP/1.0\r\n";
  EXPECT_EQ(RefusalStatus(line + "A: 1234567\r\nB: 1234567\r\n\r\n", limits), 0);  // 12 with CRLF
  EXPECT_EQ(RefusalStatus(line + "A: 12345678\r\n\r\n", limits), 431);
  EXPECT_EQ(RefusalStatus(line + "A: 1\r\nB: 123456789", limits), 431);
  EXPECT_EQ(RefusalStatus(line + "Abcdefghijkl", limits), 431);
  EXPECT_EQ(RefusalStatus(line + "A: 1\r\nB: 2\r\n\r\n", limits), 0);
  EXPECT_EQ(RefusalStatus(line + "A: 1\r\nB: 2\r\nC", limits), 431);
  EXPECT_EQ(RefusalStatus(line + "A: " + std::string(9000, 'a') + "\r\n\r\n", {.field_size = 0}),
            0);
  EXPECT_EQ(RefusalStatus(line + "\r\n", {.field_size = 1}), 0);
  std::string many = line;
  for (int i = 0; i < 200; ++i) many += "A: 1\r\n";
  EXPECT_EQ(ParseWhole(many, {.fields = 0}), "in message");
  EXPECT_EQ(RefusalStatus(many), 431);
}

TEST(RequestParser, LimitsTrailers) {
  const RequestLimits limits{.fields = 2, .field_size = 30};
  EXPECT_EQ(RefusalStatus(Chunked("0\r\nA: 1\r\nB: 2\r\n\r\n"), limits), 0);
  EXPECT_EQ(RefusalStatus(Chunked("0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n"), limits), 431);
  EXPECT_EQ(RefusalStatus(Chunked("0\r\nA: 123456789012345678901234567890"), limits), 431);
}

TEST(RequestParser, LimitsChunkFraming) {
  const std::string extension = "1;" + std::string(17 * 1024, 'a');
  EXPECT_EQ(ParseWhole(Chunked(extension)), ParseByteByByte(Chunked(extension)));
  EXPECT_EQ(ParseWhole(Chunked(extension)), "error 400 Too much chunk framing for so little body");
  EXPECT_EQ(ParseWhole(Chunked(extension + "\r\nx\r\n0\r\n\r\n")),
            "error 400 Too much chunk framing for so little body");

  // The smallest chunks are no offence, however many.
  std::string body;
  for (int i = 0; i < 10000; ++i) body += "1\r\nx\r\n";
  EXPECT_EQ(ParseWhole(Chunked(body)), "in message");
  // The same chunks with extensions are.
  body.clear();
  for (int i = 0; i < 10000; ++i) body += "1;aaaaaaaaaaaaaaaaaaaa\r\nx\r\n";
  EXPECT_EQ(ParseWhole(Chunked(body)), "error 400 Too much chunk framing for so little body");
}

TEST(RequestParser, ReasonsHoldNoBytesOfTheRequest) {
  const std::string marker = "ZqZq";
  for (const std::string& text :
       {"GET /" + marker + "\x01", marker + " / HTTP/1.1\r\n", Get(marker + "\r\n"),
        Get("Transfer-Encoding: " + marker + "\r\n"), Get("Content-Length: " + marker + "\r\n")}) {
    const std::string outcome = Parse(text);
    EXPECT_EQ(outcome.rfind("error ", 0), 0u) << outcome;
    EXPECT_EQ(outcome.find(marker), std::string::npos) << outcome;
    EXPECT_EQ(outcome.find('\n'), std::string::npos) << outcome;
  }
}

TEST(RequestParser, StopsAtTheEndOfHeadAndMessage) {
  const std::string text =
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.0\r\n\r\n";
  const std::size_t head = text.find("ab");
  RequestParser parser({});
  std::size_t consumed = 0;
  EXPECT_FALSE(parser.in_message());
  EXPECT_EQ(parser.Feed(text, consumed, nullptr), State::kHeadComplete);
  EXPECT_EQ(consumed, head);
  EXPECT_TRUE(parser.in_message());
  EXPECT_TRUE(parser.head().has_body());
  EXPECT_EQ(parser.head().Find("HOST"), "a");
  EXPECT_EQ(parser.head().Find("Hos"), std::nullopt);
  EXPECT_EQ(parser.Feed("", consumed, nullptr), State::kNeedMore);
  EXPECT_EQ(parser.Feed(std::string_view(text).substr(head), consumed, nullptr),
            State::kMessageComplete);
  EXPECT_EQ(consumed, head + 2);
  // It stays there until it is reset.
  EXPECT_EQ(parser.Feed("GET", consumed, nullptr), State::kMessageComplete);
  EXPECT_EQ(consumed, head + 2);
  EXPECT_TRUE(parser.in_message());
  parser.Reset();
  EXPECT_FALSE(parser.in_message());
  EXPECT_EQ(parser.Feed("?", consumed, nullptr), State::kError);
  EXPECT_EQ(parser.Feed("GET / HTTP/1.0\r\n\r\n", consumed, nullptr), State::kError);
  EXPECT_EQ(parser.error().status, 400);
  parser.Reset();
  EXPECT_EQ(parser.Feed("GET / HTTP/1.0\r\n\r\n", consumed, nullptr), State::kHeadComplete);
  EXPECT_FALSE(parser.head().has_body());
  EXPECT_EQ(parser.Feed("", consumed, nullptr), State::kMessageComplete);
}

// Damaged requests end somehow, and always in the same way however they arrive.
TEST(RequestParser, OutcomeOfMutationsDoesNotDependOnSplits) {
  const std::string seeds[] = {
      "GET /a?b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX:\r\n\r\nGET / HTTP/1.0\r\n\r\n",
      Chunked("3;a=b\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nX: y\r\nZ:\r\n\r\nGET / "
              "HTTP/1.0\r\n\r\n"),
      "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc\r\nGET / "
      "HTTP/1.0\r\n\r\n",
  };
  const std::string alphabet = std::string("\r\n\r\n :\t,;=09aZ\"/*.#\x80\x7f", 21) + '\0';
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string text = seeds[random() % std::size(seeds)];
    for (unsigned edits = 1 + random() % 3; edits > 0; --edits) {
      const std::size_t at = random() % text.size();
      const char c = alphabet[random() % alphabet.size()];
      switch (random() % 3) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1, c);
          break;
        default:
          text.erase(at, 1);
      }
    }
    const RequestLimits limits{.line = 40, .fields = 5, .field_size = 40};
    ASSERT_EQ(ParseByteByByte(text, limits), ParseWhole(text, limits)) << text;
  }
}

}  // namespace
}  // namespace gunid
