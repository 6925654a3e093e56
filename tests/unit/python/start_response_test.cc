#include "python/start_response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "python/python_fixture.h"

namespace gunid {
namespace {

using ::testing::HasSubstr;

// An application that runs `body` with environ and start_response as e and s, and returns `result`.
std::string App(const std::string& body, const std::string& result = "[b'ok']") {
  std::string source = "import sys\ndef app(e, s):\n  ";
  for (const char c : body) source += c == '\n' ? std::string("\n  ") : std::string(1, c);
  return source + "\n  return " + result + "\n";
}

TEST(StartResponse, TakesStatusAndHeaders) {
  Snippet snippet(App("s('404 Not \xc3\xa4', [('X-A', '1'), ('x-b', '\xc3\xa4'), ('X-A', '2')])"));
  WsgiServer server(snippet);
  const std::string response = server.Get();
  EXPECT_EQ("404 Not \xe4", StatusOf(response));
  EXPECT_THAT(response, HasSubstr("\r\nX-A: 1\r\nx-b: \xe4\r\nX-A: 2\r\n"));
}

TEST(StartResponse, RefusesWhatIsNoHead) {
  const struct {
    const char* call;
    const char* error;
  } cases[] = {
      {"s(b'200 OK', [])", "TypeError: status must be str, not bytes"},
      {"s('OK', [])", "ValueError: invalid status 'OK'"},
      {"s('200 OK\\r\\nX: y', [])", "ValueError: invalid status"},
      {"s('200 \\u20ac', [])", "ValueError: status has characters beyond Latin-1"},
      {"s('200 OK', None)", "TypeError: response headers must be a list of tuples"},
      {"s('200 OK', [('A',)])", "TypeError: a header must be a tuple (name, value), not ('A',)"},
      {"s('200 OK', [('A', 1)])", "TypeError: header value must be str, not int"},
      {"s('200 OK', [(b'A', 'x')])", "TypeError: header name must be str, not bytes"},
      {"s('200 OK', [('A', '\\u20ac')])", "ValueError: header value has characters beyond Latin-1"},
      {"s('200 OK', [('A', 'x\\r\\nB: y')])", "ValueError: invalid header: ('A', 'x\\r\\nB: y')"},
      {"s('200 OK', [('A', 'x\\0')])", "ValueError: invalid header"},
      {"s('200 OK', [('A B', 'x')])", "ValueError: invalid header: ('A B', 'x')"},
      {"s('200 OK', [('', 'x')])", "ValueError: invalid header"},
      {"s('200 OK', [('Content-Length', '-1')])", "ValueError: Content-Length must be"},
      {"s('200 OK', [('Content-Length', '2'), ('content-length', '3')])",
       "ValueError: Content-Length must be"},
      {"s('200 OK')", "TypeError: expected start_response(status, headers, exc_info=None)"},
      {"s('200 OK', [], None, None)", "TypeError: expected start_response"},
      {"s('200 OK', headers=[])", "TypeError: expected start_response"},
      {"s('200 OK', [], exc_info=1)", "TypeError: exc_info must be a tuple"},
      {"s('200 OK', [], (1, 2, 3))", "TypeError: exc_info must be a tuple"},
      {"s('200 OK', [])\ns('200 OK', [])",
       "AssertionError: start_response() was called again without exc_info"},
      {"pass", "AssertionError: the application did not call start_response()"},
      {"s('200 OK', [])('text')", "TypeError: the response body must be made of bytes, not str"},
      {"type(s)()", "TypeError: cannot create 'gunid.StartResponse' instances"},
  };
  for (const auto& [call, error] : cases) {
    const CapturedLog log;
    Snippet snippet(App(call));
    WsgiServer server(snippet);
    EXPECT_EQ("500 Internal Server Error", StatusOf(server.Get())) << call;
    EXPECT_THAT(log.text(), HasSubstr(error)) << call;
  }
}

TEST(StartResponse, ReplacesAHeadThatWasNotSent) {
  for (const char* again : {"s('500 Oops', [('X-New', '1')], sys.exc_info())",
                            "s('500 Oops', [('X-New', '1')], exc_info=sys.exc_info())"}) {
    Snippet snippet(
        App("s('200 OK', [('X-Old', '1'), ('Content-Length', '999')])\n"
            "try:\n"
            "  1/0\n"
            "except ZeroDivisionError:\n"
            "  " +
            std::string(again)));
    WsgiServer server(snippet);
    const std::string response = server.Get();
    EXPECT_EQ("500 Oops", StatusOf(response));
    EXPECT_EQ("1", HeaderOf(response, "X-New"));
    EXPECT_EQ("", HeaderOf(response, "X-Old"));
    EXPECT_EQ("2", HeaderOf(response, "Content-Length"));
    EXPECT_EQ("ok", BodyOf(response));
  }
}

TEST(StartResponse, RaisesTheExceptionAgainOnceTheHeadIsSent) {
  const CapturedLog log;
  Snippet snippet(
      App("w = s('200 OK', [])\n"
          "w(b'part')\n"
          "try:\n"
          "  {}['lost']\n"
          "except KeyError:\n"
          "  s('500 Oops', [], sys.exc_info())"));
  WsgiServer server(snippet);
  const std::string response = server.Get();
  EXPECT_EQ("200 OK", StatusOf(response));
  EXPECT_EQ("4\r\npart\r\n", BodyOf(response)) << "must not look complete";
  EXPECT_THAT(log.text(), HasSubstr("line 6, in app"));
  EXPECT_THAT(log.text(), HasSubstr("KeyError: 'lost'"));
}

TEST(StartResponse, WritesBeforeTheIterable) {
  Snippet snippet(
      App("w = s('200 OK', [('Content-Length', '6')])\nw(b'ab')\nw(b'')\nw(b'cd')", "[b'ef']"));
  WsgiServer server(snippet);
  EXPECT_EQ("abcdef", BodyOf(server.Get()));
}

TEST(StartResponse, IsUselessAfterTheRequest) {
  Snippet snippet(App("global kept\nkept = (s, s('200 OK', []))"));
  WsgiServer server(snippet);
  server.Get();
  EXPECT_THAT(snippet.Eval("kept[0]('200 OK', [])"),
              HasSubstr("RuntimeError: start_response was used"));
  EXPECT_THAT(snippet.Eval("kept[1](b'x')"), HasSubstr("RuntimeError: start_response was used"));
}

}  // namespace
}  // namespace gunid
