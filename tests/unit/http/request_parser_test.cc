#include "http/request_parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace gunid {
namespace {

using State = RequestParser::State;

// Where the input is cut before it is fed; the last entry is its size.
using Cuts = std::vector<std::size_t>;

// Plays the connection: keeps the head of the current request in one heap buffer of exactly its
// size, which moves with every read, and no body that was parsed, so that the sanitizer sees an
// over-read and a stale view.
class Feeder {
 public:
  Feeder(const RequestLimits& limits, const ParserLaxity& laxity) : parser_(limits, laxity) {}

  // What came of it, as text: a paragraph for each request, and what the last one lacks or why it
  // was refused.
  std::string Run(std::string_view text, const Cuts& cuts) {
    std::size_t from = 0;
    for (const std::size_t cut : cuts) {
      Receive(text.substr(from, cut - from));
      from = cut;
      if (!ParseReceived()) {
        return log_ + "error " + std::to_string(parser_.error().status) + " " +
               parser_.error().reason;
      }
    }
    return log_ + (parser_.in_message() ? "in message" : "idle");
  }

 private:
  void Receive(std::string_view bytes) {
    const std::size_t end = in_body_ ? head_end_ : parsed_;
    const std::size_t kept = parser_.in_message() ? end - start_ : 0;
    auto moved = std::make_unique<char[]>(kept + bytes.size());
    std::copy_n(buffer_.get() + start_, kept, moved.get());
    std::copy_n(bytes.data(), bytes.size(), moved.get() + kept);
    parser_.Rebase(buffer_.get() + start_, moved.get());
    buffer_ = std::move(moved);
    start_ = 0;
    head_end_ = parsed_ = kept;
    size_ = kept + bytes.size();
  }

  bool ParseReceived() {
    while (true) {
      const std::span<char> input(buffer_.get() + parsed_, size_ - parsed_);
      std::size_t consumed = 0;
      const State state =
          parser_.Feed(input, consumed, [this](std::string_view part) { body_ += part; });
      parsed_ += consumed;
      if (state == State::kError) return false;
      if (state == State::kNeedMore) {
        EXPECT_EQ(parsed_, size_);
        return true;
      }
      if (state == State::kHeadComplete) {
        BeginBody();
        continue;
      }
      EndMessage();
      if (parsed_ == size_) return true;
    }
  }

  void BeginBody() {
    EXPECT_EQ(std::string_view(buffer_.get() + parsed_ - 2, 2), "\r\n");
    head_end_ = parsed_;
    in_body_ = true;
  }

  void EndMessage() {
    Log();
    parser_.Reset();
    body_.clear();
    start_ = parsed_;
    in_body_ = false;
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
  std::size_t start_ = 0;  // of the message; these are offsets in the buffer
  std::size_t head_end_ = 0;
  std::size_t parsed_ = 0;
  std::size_t size_ = 0;
  bool in_body_ = false;
  std::string body_;
  std::string log_;
};

std::string ParseWhole(std::string_view text, const RequestLimits& limits = {},
                       const ParserLaxity& laxity = {}) {
  return Feeder(limits, laxity).Run(text, {text.size()});
}

std::string ParseByteByByte(std::string_view text, const RequestLimits& limits = {},
                            const ParserLaxity& laxity = {}) {
  Cuts cuts;
  for (std::size_t i = 1; i <= text.size(); ++i) cuts.push_back(i);
  return Feeder(limits, laxity).Run(text, cuts);
}

// The outcome, after making sure that it does not depend on how the input arrives.
std::string Parse(std::string_view text, const RequestLimits& limits = {},
                  const ParserLaxity& laxity = {}) {
  const std::string whole = ParseWhole(text, limits, laxity);
  EXPECT_EQ(ParseByteByByte(text, limits, laxity), whole) << text;
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    EXPECT_EQ(Feeder(limits, laxity).Run(text, {cut, text.size()}), whole)
        << text << "\ncut at " << cut;
  }
  return whole;
}

// The status of the refusal, 0 if the text was not refused.
int RefusalStatus(std::string_view text, const RequestLimits& limits = {},
                  const ParserLaxity& laxity = {}) {
  const std::string outcome = Parse(text, limits, laxity);
  const std::size_t error = outcome.rfind("error ");
  return error == std::string::npos ? 0 : std::stoi(outcome.substr(error + 6));
}

// A request whose fields are `fields`, each ending in CRLF, after a Host field.
std::string Get(const std::string& fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

std::string Line(const std::string& request_line) {
  return request_line + "\r\nHost: a\r\n\r\n";
}

std::string Host(const std::string& value) {
  return "GET / HTTP/1.1\r\nHost: " + value + "\r\n\r\n";
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
      // The authority of an absolute-form target stands above the Host field.
      {"GET http://a:80/b?c HTTP/1.1\r\nX: y\r\nhost: d\r\n\r\n",
       "GET http://a:80/b?c 1.1 keep-alive\nX=y.\nhost=a:80.\n[]\nidle"},
      {"GET HTTPS://a?b HTTP/1.0\r\nHost:\r\n\r\n", "GET HTTPS://a?b 1.0\nHost=a.\n[]\nidle"},
      {"GET http://a/ HTTP/1.0\r\n\r\n", "GET http://a/ 1.0\n[]\nidle"},
      // Any method is a method, and a later HTTP/1 is HTTP/1.1.
      {"PURGE / HTTP/1.0\r\n\r\n", "PURGE / 1.0\n[]\nidle"},
      {"M-ARCH!$%&'*+.^_`|~ / HTTP/1.0\r\n\r\n", "M-ARCH!$%&'*+.^_`|~ / 1.0\n[]\nidle"},
      {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET / 1.1 keep-alive\nHost=a.\n[]\nidle"},
      {"GET / HTTP/1.9\r\nHost: a\r\n\r\n", "GET / 1.1 keep-alive\nHost=a.\n[]\nidle"},
      {"POST / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\n\r\n",
       "POST / 1.1 keep-alive\nHost=a.\n[]\nGET / 1.0\n[]\nidle"},
      // Bytes outside ASCII and names with an underscore are left to the application.
      {"GET / HTTP/1.0\r\nX_y: \x80\xff\r\n\r\n", "GET / 1.0\nX_y=\x80\xff.\n[]\nidle"},
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
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\t2\t \t\r\n\r\nab",
       "POST / 1.1 keep-alive length=2\nHost=a.\nContent-Length=2.\n[ab]\nidle"},
      {"POST / HTTP/1.1\r\nTransfer-Encoding:\tchunked\t\r\nHost: a\r\n\r\n0\r\n\r\n",
       "POST / 1.1 keep-alive chunked\nTransfer-Encoding=chunked.\nHost=a.\n[]\nidle"},
      // Chunk extensions are skipped, trailers are dropped.
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
       "3;c=\"d\";e=f\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Tab:\ta\t\r\nX-Empty:\r\n\r\n",
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

// What is wrong within the line: request_line_test.cc.
TEST(RequestParser, RefusesRequestLines) {
  const Refused cases[] = {
      {"\r\n\r\nGET / HTTP/1.1\r\n", 400},
      {"\nGET / HTTP/1.1\r\n", 400},
      {"\rGET / HTTP/1.1\r\n", 400},
      {"\r\r\n", 400},
      {"GET / HTTP/1.1\nHost: a\n\n", 400},
      {"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400},
      {" GET / HTTP/1.1\r\n", 400},
      {"GET /\r\n", 400},
      {"GET  / HTTP/1.1\r\n", 400},
      {"get / HTTP/1.1\r\n", 400},
      {"CONNECT a:443 HTTP/1.1\r\n", 501},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"GET a HTTP/1.1\r\n", 400},
      // At once, without waiting for the end of the line.
      {"\x16\x03\x01\x02", 400},  // TLS
      {"\x80", 400},
      {"GET /\x7f", 400},
      {"GET /\xc3\xa9", 400},
      {"GET\t", 400},
      {"GET /\rx", 400},
      {std::string("G\0", 2), 400},
  };
  for (const Refused& test : cases) EXPECT_EQ(RefusalStatus(test.text), test.status) << test.text;
}

TEST(RequestParser, RefusesFields) {
  const Refused cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400},
      {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET http://a/ HTTP/1.1\r\n\r\n", 400},
      {"GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
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
      {Get("X\t: y\r\n"), 400},
      {Get("X: y\r\r\n"), 400},
      {Get("\rX: y\r\n"), 400},
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
      {Get("Transfer-Encoding: chunked,\r\n"), 400},
      {Get("Transfer-Encoding: gzip, chunked, gzip\r\n"), 400},
      {Get("Transfer-Encoding: gzip;q=1, identity\r\n"), 501},
      {Get("Transfer-Encoding: gzip\x01\r\n"), 400},
  };
  for (const Refused& test : cases) EXPECT_EQ(RefusalStatus(test.text), test.status) << test.text;
}

TEST(RequestParser, Host) {
  for (const char* good : {"", "a", "a.example:80", "a:", ":80", "%7Ea-._~!$&'()*+,;=", "[::1]",
                           "[2001:DB8::192.0.2.1]:8000", "127.0.0.1:1"}) {
    EXPECT_EQ(RefusalStatus(Host(good)), 0) << good;
  }
  for (const char* bad :
       {"a b",     "a/b", "u@a", "a:b",        "a:1:2",  "a:-1",  "::1", "[::1", "[::1]x",
        "[::1]:x", "[]",  "[a]", "[::1%25lo]", "[v1.a]", "a]",    "%",   "%4",   "%4g",
        "a\\b",    "a?",  "a#",  "\"a\"",      "a\tb",   "a\x80", "<a>", "a, b"}) {
    EXPECT_EQ(RefusalStatus(Host(bad)), 400) << bad;
  }
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
      "0\r\nX : y\r\n\r\n",
      "0\r\nX: y\rZ: 1\r\n\r\n",
      "0\r\nX: \x01\r\n\r\n",
      "0\r\n\rX\r\n\r\n",
      "1\r\na\r0\r\n\r\n",
      "1\r\na\r\n\r\n",
  };
  for (const char* body : cases) EXPECT_EQ(RefusalStatus(Chunked(body)), 400) << body;
}

TEST(RequestParser, RefusesTrailersThatBelongInTheHead) {
  for (const std::string name : {"Host", "Content-Length", "transfer-encoding", "Trailer", "TE",
                                 "Authorization", "CONTENT-TYPE", "Connection"}) {
    EXPECT_EQ(RefusalStatus(Chunked("0\r\nX: y\r\n" + name + ": chunked\r\n\r\n")), 400) << name;
    EXPECT_EQ(RefusalStatus(Chunked("0\r\nX-" + name + ": chunked\r\n\r\n")), 0) << name;
  }
}

// Every byte value in every part of the head, against the grammar of RFC 9110 and 9112.
TEST(RequestParser, JudgesEveryByte) {
  const std::string token_specials = "!#$%&'*+-.^_`|~";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool token =
        std::isalnum(byte) != 0 || (byte != 0 && token_specials.find(c) != std::string::npos);
    const bool in_value = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    const bool in_query = byte > 0x20 && byte < 0x7f && c != '#';
    const bool in_path = in_query && c != '%';
    const bool in_method = token && c != '#' && std::islower(byte) == 0;
    EXPECT_EQ(RefusalStatus(std::string("GE") + c + "T / HTTP/1.0\r\n\r\n") == 0, in_method)
        << byte;
    EXPECT_EQ(RefusalStatus(Get(std::string("X") + c + "y: 1\r\n")) == 0, token || c == ':')
        << byte;
    EXPECT_EQ(RefusalStatus(Get(std::string("X: a") + c + "b\r\n")) == 0, in_value) << byte;
    EXPECT_EQ(RefusalStatus(std::string("GET /a") + c + "b HTTP/1.0\r\n\r\n") == 0, in_path)
        << byte;
    EXPECT_EQ(RefusalStatus(std::string("GET /?a") + c + "b HTTP/1.0\r\n\r\n") == 0, in_query)
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
  EXPECT_EQ(RefusalStatus("GET /aaaaaaaaaaaaaaaa", limits), 414);  // already now
  EXPECT_EQ(RefusalStatus("GET /aaaaaaaaaaaaaaa", limits), 0);
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
  EXPECT_EQ(RefusalStatus(Chunked("0\r\nA: 1\r\nB: 2\r\nC"), limits), 431);
  EXPECT_EQ(RefusalStatus(Chunked("0\r\nA: 1234567890123456789012345\r\n\r\n"), limits), 0);  // 30
  EXPECT_EQ(RefusalStatus(Chunked("0\r\nA: 12345678901234567890123456\r\n\r\n"), limits), 431);
  EXPECT_EQ(RefusalStatus(Chunked("0\r\nA: 123456789012345678901234567"), limits), 431);
}

TEST(RequestParser, LimitsTheBody) {
  const RequestLimits limits{.body = 3};
  const auto sized = [](const char* size) {
    return Get("Content-Length: " + std::string(size) + "\r\n");
  };
  EXPECT_EQ(RefusalStatus(sized("3") + "abc", limits), 0);
  EXPECT_EQ(RefusalStatus(sized("4"), limits), 413);
  EXPECT_EQ(RefusalStatus(sized("18446744073709551615"), limits), 413);
  EXPECT_EQ(RefusalStatus(sized("18446744073709551615")), 0);
  EXPECT_EQ(RefusalStatus(Chunked("1\r\na\r\n2\r\nbc\r\n0\r\nX: y\r\n\r\n"), limits), 0);
  EXPECT_EQ(RefusalStatus(Chunked("1\r\na\r\n3\r\n"), limits), 413);
  EXPECT_EQ(RefusalStatus(Chunked("4;x=y\r\n"), limits), 413);
  EXPECT_EQ(RefusalStatus(Chunked("1\r\na\r\nffffffffffffffff\r\n"), limits), 413);
  // The size is only judged when the head is complete.
  EXPECT_EQ(RefusalStatus("GET / HTTP/1.1\r\nContent-Length: 4\r\n\r\n", limits), 400);
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

struct Folded {
  const char* fields;
  const char* outcome;  // of the fields; nullptr: refused with 400
};

TEST(RequestParser, PermitsObsoleteFolding) {
  const ParserLaxity laxity{.permit_obsolete_folding = true};
  const Folded cases[] = {
      {"X: a\r\n b\r\n", "X=a   b."},
      {"X: a \t\r\n\t \tb\r\nY: z\r\n", "X=a       b.\nY=z."},
      {"X: a\r\n b\r\n\tc\r\n", "X=a   b   c."},
      {"X:\r\n a\r\n", "X=a."},
      {"X: a\r\n \r\n", "X=a."},
      {"X:\r\n \r\n\t\r\nY:\r\n", "X=.\nY=."},
      {"X: a\r\n b: c\r\n", "X=a   b: c."},
      {"X: a\r\n :\r\nY: b\r\n", "X=a   :.\nY=b."},
      {"Expect:\r\n 100-continue\r\n", "Expect=100-continue."},
      {"X\r\n : a\r\n", nullptr},
      {"X\r\n :\r\nY: a\r\n", nullptr},
      {"X: a\r\n \x01\r\n", nullptr},
      {"X: a\n b\r\n", nullptr},
      {"X: a\r\n b\n", nullptr},
      {"X: a\r\r\n b\r\n", nullptr},
      {"X: a\r\n b\rc\r\n", nullptr},
      {"Content-Length: 1\r\n 2\r\n", nullptr},
      {"Transfer-Encoding: chun\r\n ked\r\n", nullptr},
      {"Content-Length: 1\r\n\r\n 2", nullptr},  // no field: the next request
  };
  for (const Folded& test : cases) {
    const std::string text = Get(test.fields);
    if (test.outcome == nullptr) {
      EXPECT_EQ(RefusalStatus(text, {}, laxity), 400) << text;
      continue;
    }
    const std::string outcome = Parse(text, {}, laxity);
    EXPECT_NE(outcome.find("\nHost=a.\n" + std::string(test.outcome) + "\n[]\nidle"),
              std::string::npos)
        << outcome;
    EXPECT_EQ(RefusalStatus(text), 400) << text;
  }
  EXPECT_EQ(RefusalStatus("GET / HTTP/1.0\r\n X: a\r\n\r\n", {}, laxity), 400);
  EXPECT_EQ(RefusalStatus(Chunked("0\r\nX: a\r\n b\r\n\r\n"), {}, laxity), 0);
  EXPECT_EQ(RefusalStatus(Chunked("0\r\n X: a\r\n\r\n"), {}, laxity), 400);
}

TEST(RequestParser, FoldedFieldsShareOneLimit) {
  const ParserLaxity laxity{.permit_obsolete_folding = true};
  const RequestLimits limits{.fields = 1, .field_size = 12};
  const std::string line = "GET / HTTP/1.0\r\n";
  EXPECT_EQ(RefusalStatus(line + "A: 1\r\n 23\r\n 4", limits, laxity), 431);
  EXPECT_EQ(RefusalStatus(line + "A: 1\r\n 234\r\n\r\n", limits, laxity), 0);  // 12 with CRLF
  EXPECT_EQ(RefusalStatus(line + "A: 1\r\n 2345\r\n\r\n", limits, laxity), 431);
  EXPECT_EQ(RefusalStatus(line + "A: 1\r\n 234\r\nB", limits, laxity), 431);
}

TEST(RequestParser, StripsHeaderSpaces) {
  const ParserLaxity laxity{.strip_header_spaces = true};
  const std::string text = Get("X \t: y\r\nY\t:z : \r\nZ  :\r\nContent-Length : 1\r\n") + "!";
  EXPECT_EQ(
      Parse(text, {}, laxity),
      "GET / 1.1 keep-alive length=1\nHost=a.\nX=y.\nY=z :.\nZ=.\nContent-Length=1.\n[!]\nidle");
  EXPECT_EQ(RefusalStatus(text), 400);
  for (const char* bad :
       {"X Y : z\r\n", " X: y\r\n", " : y\r\n", ": y\r\n", "X \r\n", "X\r\n : y\r\n",
        "X: y\r\n z : 1\r\n", "X\x01 : y\r\n", "Content-Length : 1\r\nContent-Length: 1\r\n"}) {
    EXPECT_EQ(RefusalStatus(Get(bad), {}, laxity), 400) << bad;
  }
  EXPECT_EQ(RefusalStatus(Chunked("0\r\nX : y\r\n\r\n"), {}, laxity), 0);
  EXPECT_EQ(RefusalStatus(Chunked("0\r\nHost : y\r\n\r\n"), {}, laxity), 400);
}

TEST(RequestParser, PermitsOtherRequestLines) {
  const struct {
    ParserLaxity laxity;
    std::string line;
    std::string outcome;
  } cases[] = {
      {{.permit_unconventional_http_method = true}, "a#b / HTTP/1.1", "a#b / 1.1 keep-alive"},
      {{.permit_unconventional_http_version = true}, "GET / HTTP/0.9", "GET / 1.0"},
      {{.permit_unconventional_http_version = true}, "GET / HTTP/2.0", "GET / 1.1 keep-alive"},
      {{.casefold_http_method = true}, "get / HTTP/1.1", "GET / 1.1 keep-alive"},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(Parse(Line(test.line), {}, test.laxity), test.outcome + "\nHost=a.\n[]\nidle");
    EXPECT_NE(RefusalStatus(Line(test.line)), 0) << test.line;
  }
}

constexpr ParserLaxity kEverything{.permit_obsolete_folding = true,
                                   .strip_header_spaces = true,
                                   .permit_unconventional_http_method = true,
                                   .permit_unconventional_http_version = true,
                                   .casefold_http_method = true};

TEST(RequestParser, LaxitiesCombine) {
  EXPECT_EQ(
      Parse("x / HTTP/3.0\r\nX : a\r\n\tb\r\nY:\r\n : c\r\nHost : d\r\n\r\n", {}, kEverything),
      "X / 1.1 keep-alive\nX=a   b.\nY=: c.\nHost=d.\n[]\nidle");
  for (const char* bad : {"X \r\n : y\r\n", "X\r\n \t: y\r\n", "X \r\n y\r\n", ": a\r\n b\r\n",
                          "X: y\r\n\x01 : z\r\n", "Host : b\r\n"}) {
    EXPECT_EQ(RefusalStatus(Get(bad), {}, kEverything), 400) << bad;
  }
}

// Of two errors the first in the input is reported.
TEST(RequestParser, ReportsTheFirstError) {
  const RequestLimits limits{.line = 20, .fields = 3, .field_size = 40, .body = 5};
  const Refused cases[] = {
      {"GET /aaaaaaaaaaaaaaaa\x01", 414},
      {"GET /aaaaaaaaaaaaa\x01"
       "aaa",
       400},
      {"get / HTTP/1.1\r\nX: " + std::string(40, 'a'), 400},
      {Get("Expect: x\r\nY\r\n"), 417},
      {Get("Expect: x\r\n" + std::string(40, 'a')), 417},
      {Get("Expect: x\r\nA: b\r\nC: d\r\nE: f\r\n"), 417},
      {Get("Expect: x\r\nA: b\n"), 417},
      {Get("A: b\r\nExpect: x\r\nToo: many\r\n"), 417},
      {Get("Y\r\nExpect: x\r\n"), 400},
      {Get("Expect: x\x01\r\n"), 400},
      {Get("Expect: x\r\n y\r\n"), 400},
      {Get("X Y: " + std::string(40, 'a')), 400},
      {Get("X: " + std::string(40, 'a') + "\x01"), 431},
      {Get("Transfer-Encoding: gzip\r\nContent-Length: 1\r\n"), 501},
      {Get("Content-Length: 9\r\nContent-Length: 9\r\n"), 400},
      {Get("Content-Length: 9\r\nExpect: x\r\n"), 417},
      {Chunked("6\r\nx"), 413},
      {Chunked("5\r\nabcde\r\n6\r\nx"), 413},
      {Chunked("5\r\nabcdex"), 400},
      {Chunked("0\r\nX Y: " + std::string(40, 'a')), 400},
      {Chunked("0\r\nTE: " + std::string(40, 'a')), 400},
      {Chunked("0\r\nX: y\r\nHost: a\r\nY: 1\r\nZ: 1\r\n"), 400},
      {Chunked("0\r\nX: y\r\nY: 1\r\nZ: 1\r\nHost"), 431},
  };
  RequestLimits long_line = limits;
  long_line.line = 0;
  for (const Refused& test : cases) {
    const bool line = test.text.starts_with("GET /a");
    EXPECT_EQ(RefusalStatus(test.text, line ? limits : long_line), test.status) << test.text;
  }
}

TEST(RequestParser, ReasonsHoldNoBytesOfTheRequest) {
  const std::string marker = "ZqZq";
  for (const std::string& text :
       {"GET /" + marker + "\x01", marker + " / HTTP/1.1\r\n", Host(marker + "@"),
        Get(marker + "\r\n"), Get("Transfer-Encoding: " + marker + "\r\n"),
        Get("Content-Length: " + marker + "\r\n")}) {
    const std::string outcome = Parse(text);
    EXPECT_EQ(outcome.rfind("error ", 0), 0u) << outcome;
    EXPECT_EQ(outcome.find(marker), std::string::npos) << outcome;
    EXPECT_EQ(outcome.find('\n'), std::string::npos) << outcome;
  }
}

TEST(RequestParser, StopsAtTheEndOfHeadAndMessage) {
  std::string text =
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.0\r\n\r\n";
  std::string next = "GET / HTTP/1.0\r\n\r\n";
  std::string bad = "\x01";
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
  EXPECT_EQ(parser.Feed({}, consumed, nullptr), State::kNeedMore);
  EXPECT_EQ(parser.Feed(std::span(text).subspan(head), consumed, nullptr), State::kMessageComplete);
  EXPECT_EQ(consumed, head + 2);
  // It stays there until it is reset.
  EXPECT_EQ(parser.Feed(next, consumed, nullptr), State::kMessageComplete);
  EXPECT_EQ(consumed, head + 2);
  EXPECT_TRUE(parser.in_message());
  parser.Reset();
  EXPECT_FALSE(parser.in_message());
  EXPECT_EQ(parser.Feed(bad, consumed, nullptr), State::kError);
  EXPECT_EQ(parser.Feed(next, consumed, nullptr), State::kError);
  EXPECT_EQ(parser.error().status, 400);
  parser.Reset();
  EXPECT_EQ(parser.Feed(next, consumed, nullptr), State::kHeadComplete);
  EXPECT_FALSE(parser.head().has_body());
  EXPECT_EQ(parser.Feed({}, consumed, nullptr), State::kMessageComplete);
}

TEST(RequestParser, MovesEveryView) {
  std::string text = "GET /x?k HTTP/1.0\r\nA: b\r\n\r\n";
  RequestParser parser({});
  std::size_t consumed = 0;
  ASSERT_EQ(parser.Feed(text, consumed, nullptr), State::kHeadComplete);
  parser.head().script_name = parser.head().headers[0].value;
  const std::string moved = "PUT /y?l HTTP/1.0\r\nC: d\r\n\r\n";
  parser.Rebase(text.data(), moved.data());
  EXPECT_EQ(parser.head().method, "PUT");
  EXPECT_EQ(parser.head().target, "/y?l");
  EXPECT_EQ(parser.head().parts.path, "/y");
  EXPECT_EQ(parser.head().parts.query, "l");
  EXPECT_EQ(parser.head().headers[0].name, "C");
  EXPECT_EQ(parser.head().headers[0].value, "d");
  EXPECT_EQ(parser.head().script_name, "d");
}

TEST(RequestParser, MovesTheHostOfAnAbsoluteTargetAndLeavesItsPath) {
  std::string text = "GET http://a.b HTTP/1.1\r\nHost: c\r\n\r\n";
  RequestParser parser({});
  std::size_t consumed = 0;
  ASSERT_EQ(parser.Feed(text, consumed, nullptr), State::kHeadComplete);
  const std::string moved = "GET http://d.e HTTP/1.1\r\nHost: f\r\n\r\n";
  parser.Rebase(text.data(), moved.data());
  EXPECT_EQ(parser.head().parts.authority, "d.e");
  EXPECT_EQ(parser.head().parts.path, "/");
  EXPECT_EQ(parser.head().parts.query, "");
  EXPECT_EQ(parser.head().headers[0].value, "d.e");
}

TEST(RequestParser, KeepsTheMemoryOfFewFields) {
  const auto capacity_after = [](int fields) {
    std::string text = "GET / HTTP/1.0\r\n";
    for (int i = 0; i < fields; ++i) text += "A: b\r\n";
    text += "\r\n";
    RequestParser parser({});
    std::size_t consumed = 0;
    EXPECT_EQ(parser.Feed(text, consumed, nullptr), State::kHeadComplete);
    EXPECT_EQ(parser.head().headers.size(), fields);
    parser.Reset();
    EXPECT_TRUE(parser.head().headers.empty());
    return parser.head().headers.capacity();
  };
  EXPECT_GE(capacity_after(20), 20u);
  EXPECT_EQ(capacity_after(33), 0u);
}

// Damaged requests end somehow, and always in the same way however they arrive.
TEST(RequestParser, OutcomeOfMutationsDoesNotDependOnSplits) {
  const std::string seeds[] = {
      "GET /a?b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX:\r\n\r\nGET / HTTP/1.0\r\n\r\n",
      Chunked("3;a=b\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nX: y\r\nZ:\r\n\r\nGET / "
              "HTTP/1.0\r\n\r\n"),
      "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc\r\nGET / "
      "HTTP/1.0\r\n\r\n",
      "get http://a HTTP/2.1\r\nHost : b\r\nX:\r\n \tc\t\r\n\td : e\r\nY \t: \r\n\r\nGET / "
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
    const RequestLimits limits{.line = 40, .fields = 5, .field_size = 40, .body = 20};
    for (const ParserLaxity& laxity : {ParserLaxity{}, kEverything}) {
      const std::string whole = ParseWhole(text, limits, laxity);
      ASSERT_EQ(ParseByteByByte(text, limits, laxity), whole) << text;
      const std::size_t cut = random() % text.size();
      ASSERT_EQ(Feeder(limits, laxity).Run(text, {cut, text.size()}), whole) << text << cut;
    }
  }
}

}  // namespace
}  // namespace gunid
