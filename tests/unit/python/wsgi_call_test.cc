#include "python/wsgi_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "python/python_fixture.h"

namespace gunid {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Start(const std::string& rest) {
  return "def app(e, s):\n  s('200 OK', [('Content-Type', 'text/plain')])\n  " + rest + "\n";
}

TEST(WsgiCall, SendsAListWithItsLength) {
  const struct {
    const char* result;
    const char* length;
    const char* body;
  } cases[] = {
      {"[b'hello']", "5", "hello"},
      {"(b'a', b'', b'bc')", "3", "abc"},
      {"[]", "0", ""},
      {"[b'']", "0", ""},
      {"iter([])", "0", ""},
      {"(x for x in [b''])", "0", ""},
  };
  for (const auto& [result, length, body] : cases) {
    Snippet snippet(Start(std::string("return ") + result));
    WsgiServer server(snippet);
    const std::string response = server.Get();
    EXPECT_EQ("200 OK", StatusOf(response));
    EXPECT_EQ(length, HeaderOf(response, "Content-Length")) << result;
    EXPECT_EQ(body, BodyOf(response)) << result;
  }
}

TEST(WsgiCall, StreamsAnyOtherIterable) {
  Snippet snippet(Start("return (x for x in [b'', b'ab', b'', b'c'])"));
  WsgiServer server(snippet);
  EXPECT_EQ("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", BodyOf(server.Get()));
  EXPECT_EQ("abc", BodyOf(server.Serve("GET / HTTP/1.0\r\n\r\n")));
}

TEST(WsgiCall, LetsAGeneratorStartTheResponse) {
  Snippet snippet(
      "def app(e, s):\n  yield b''\n  s('201 Created', [('Content-Length', '2')])\n  yield "
      "b'ok'\n");
  WsgiServer server(snippet);
  const std::string response = server.Get();
  EXPECT_EQ("201 Created", StatusOf(response));
  EXPECT_EQ("ok", BodyOf(response));
}

TEST(WsgiCall, PassesTheReferenceValidator) {
  const CapturedLog log;
  Snippet snippet(R"(
from wsgiref.validate import validator
def inner(environ, start_response):
    body = environ['wsgi.input'].read(100) + environ['wsgi.input'].readline()
    environ['wsgi.errors'].write('')
    write = start_response('200 OK', [('Content-Type', 'text/plain')])
    return iter([environ['REQUEST_METHOD'].encode(), b' ', body])
app = validator(inner)
)");
  WsgiServer server(snippet);
  EXPECT_EQ("POST abc", BodyOf(server.Serve("POST /p?q HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc")));
  EXPECT_EQ("GET ", BodyOf(server.Serve("GET / HTTP/1.0\r\n\r\n")));
  EXPECT_EQ("", log.text());
}

TEST(WsgiCall, AnswersHeadWithoutABody) {
  Snippet snippet(Start("return [b'hello']"));
  WsgiServer server(snippet);
  const std::string response =
      server.Serve("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ("200 OK", StatusOf(response));
  EXPECT_EQ("", BodyOf(response));
}

TEST(WsgiCall, MakesA500OfWhateverTheApplicationRaises) {
  const struct {
    const char* source;
    const char* logged;
  } cases[] = {
      {"raise ValueError('boom')", "ValueError: boom"},
      {"import sys; sys.exit(3)", "SystemExit: 3"},
      {"raise KeyboardInterrupt", "KeyboardInterrupt"},
      {"return app(e, s)", "RecursionError"},
      {"return None", "TypeError: 'NoneType' object is not iterable"},
      {"return 'text'", "TypeError: the response body must be made of bytes, not str"},
      {"return [b'first', 'second']",
       "TypeError: the response body must be made of bytes, not str"},
      {"return (x for x in [1])", "TypeError: the response body must be made of bytes, not int"},
      {"return (1/0 for x in [1])", "ZeroDivisionError"},
      {"return []", "AssertionError: the application did not call start_response()"},
      {"return [b'x']", "AssertionError: the application did not call start_response()"},
      {"s('200 OK', []); raise ValueError('late')", "ValueError: late"},
  };
  for (const auto& [source, logged] : cases) {
    const CapturedLog log;
    Snippet snippet(std::string("def app(e, s):\n  ") + source + "\n");
    WsgiServer server(snippet);
    const std::string response = server.Get("/path?secret");
    EXPECT_EQ("500 Internal Server Error", StatusOf(response)) << source;
    EXPECT_THAT(log.text(), HasSubstr("Error handling request /path\n")) << source;
    EXPECT_THAT(log.text(), HasSubstr(logged)) << source;
    EXPECT_THAT(log.text(), Not(HasSubstr("secret")));
    EXPECT_THAT(response, Not(HasSubstr("Traceback")));
  }
}

TEST(WsgiCall, CutsAResponseThatFailsHalfway) {
  const CapturedLog log;
  Snippet snippet(
      "closed = []\n"
      "class Body:\n"
      "  def __iter__(self):\n    yield b'part'\n    1/0\n"
      "  def close(self): closed.append(1)\n"
      "def app(e, s):\n  s('200 OK', [])\n  return Body()\n");
  WsgiServer server(snippet);
  EXPECT_EQ("4\r\npart\r\n", BodyOf(server.Get()));
  EXPECT_THAT(log.text(), HasSubstr("ZeroDivisionError"));
  EXPECT_EQ("[1]", snippet.Eval("closed"));
}

TEST(WsgiCall, ClosesTheResult) {
  Snippet snippet(
      "closed = []\n"
      "class Body(list):\n  def close(self): closed.append(1)\n"
      "def app(e, s):\n  s('200 OK', [])\n  return Body([b'x'])\n");
  WsgiServer server(snippet);
  server.Get();
  EXPECT_EQ("[1]", snippet.Eval("closed"));
  snippet.Exec("class Body(list):\n  close = property(lambda self: 1/0)\n");
  const CapturedLog log;
  EXPECT_EQ("200 OK", StatusOf(server.Get()));
  EXPECT_THAT(log.text(), HasSubstr("ZeroDivisionError"));
}

constexpr char kEndless[] = R"(
ended = []
def body():
    try:
        while True:
            yield bytes(100000)
    finally:
        ended.append(1)
def app(e, s):
    if e['PATH_INFO'] == '/next':
        s('200 OK', [])(b'ne')
        return [b'xt']
    w = s('200 OK', [('Content-Length', str(10 ** 12))] if e['PATH_INFO'] == '/long' else [])
    if e['PATH_INFO'] != '/write': return body()
    try:
        for chunk in body(): w(chunk)
    except BrokenPipeError:
        ended.append(2)
        raise
)";

TEST(WsgiCall, StopsWhenTheClientIsGone) {
  const struct {
    const char* path;
    const char* ended;
  } cases[] = {{"/", "[1]"}, {"/long", "[1]"}, {"/write", "[1, 2]"}};
  for (const auto& [path, ended] : cases) {
    const CapturedLog log;
    Snippet snippet(kEndless);
    WsgiServer server(snippet);
    server.Abandon("GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n", 300'000);
    EXPECT_EQ(ended, snippet.Eval("ended")) << path;
    EXPECT_EQ("2\r\nne\r\n2\r\nxt\r\n0\r\n\r\n", BodyOf(server.Get("/next"))) << path;
    EXPECT_EQ("", log.text()) << path;
  }
}

TEST(WsgiCall, StopsWhenTheRestWouldBeThrownAway) {
  Snippet snippet(kEndless);
  snippet.Exec("def app(e, s):\n  s('200 OK', [('Content-Length', '150000')])\n  return body()\n");
  const CapturedLog log;
  WsgiServer server(snippet);
  EXPECT_EQ(150'000U, BodyOf(server.Get()).size());
  EXPECT_EQ("[1]", snippet.Eval("ended"));
  EXPECT_THAT(log.text(), HasSubstr("Response to / is longer than its Content-Length"));
  server.Serve("HEAD / HTTP/1.0\r\n\r\n");
  EXPECT_EQ("[1, 1]", snippet.Eval("ended"));
}

TEST(WsgiCall, WarnsOfShortBodies) {
  const CapturedLog log;
  Snippet snippet("def app(e, s):\n  s('200 OK', [('Content-Length', '9')])\n  return [b'abc']\n");
  WsgiServer server(snippet);
  EXPECT_EQ("abc", BodyOf(server.Get("/short")));
  EXPECT_THAT(log.text(), HasSubstr("Response to /short is 6 bytes shorter"));
}

TEST(WsgiCall, SendsFiles) {
  const TemporaryFolder folder;
  std::string content(1'500'000, 'x');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 % 251);
  folder.Write("file", content);
  folder.Write("empty", "");
  const struct {
    const char* open;
    const char* headers;
    std::size_t start;
    std::size_t length;
  } cases[] = {
      {"open('file', 'rb')", "[]", 0, 1'500'000},
      {"open('file', 'rb')", "[('Content-Length', '10')]", 0, 10},
      {"seek(open('file', 'rb'), 1234567)", "[]", 1'234'567, 265'433},
      {"open('empty', 'rb')", "[]", 0, 0},
      {"io.BytesIO(open('file', 'rb').read())", "[('Content-Length', '1500000')]", 0, 1'500'000},
  };
  for (const bool sendfile : {true, false}) {
    for (const auto& [open, headers, start, length] : cases) {
      Snippet snippet(
          "import io\ndef seek(f, n):\n  f.seek(n)\n  return f\ndef app(e, s):\n  global f\n"
          "  s('200 OK', " +
          std::string(headers) + ")\n  f = " + open + "\n  return e['wsgi.file_wrapper'](f)\n");
      WsgiServer server(snippet, {.sendfile = sendfile});
      const std::string response = server.Serve("GET / HTTP/1.0\r\n\r\n");
      EXPECT_TRUE(BodyOf(response) == content.substr(start, length)) << open << sendfile;
      if (sendfile) {
        EXPECT_EQ(std::to_string(length), HeaderOf(response, "Content-Length"));
      }
      EXPECT_EQ("True", snippet.Eval("f.closed"));
    }
  }
}

TEST(WsgiCall, SendsAnEmptyFileOnce) {
  const TemporaryFolder folder;
  folder.Write("empty", "");
  Snippet snippet(Start("return e['wsgi.file_wrapper'](open('empty', 'rb'))"));
  WsgiServer server(snippet);
  const std::string response = server.Get();
  EXPECT_EQ("0", HeaderOf(response, "Content-Length"));
  EXPECT_EQ("", BodyOf(response));
}

TEST(WsgiCall, DropsEverythingOfARequest) {
  Snippet snippet(
      "import gc, weakref\n"
      "class Marker: pass\n"
      "refs = []\n"
      "def app(e, s):\n"
      "  m = Marker(); refs.append(weakref.ref(m)); e['m'] = m\n"
      "  s('200 OK', [])\n"
      "  return [b'x']\n");
  WsgiServer server(snippet);
  server.Get();
  EXPECT_EQ("[None]", snippet.Eval("[r() for r in refs]"));
}

// Requests one after the other, each with code of its own.
std::string Numbered(const std::string& body) {
  std::string source = "import weakref\nkept = []\nseen = []\ndef app(e, s):\n  ";
  for (const char c : body) source += c == '\n' ? std::string("\n  ") : std::string(1, c);
  return source + "\n  return [b'ok']\n";
}

TEST(WsgiCall, CallablesAndInputAreUsedAgainIfNobodyHasKeptThem) {
  Snippet snippet(
      Numbered("w = s('200 OK', [])\n"
               "seen.append((id(s), id(w), id(e['wsgi.input']), id(e['wsgi.early_hints'])))\n"
               "seen.append(e['wsgi.input'].read())"));
  WsgiServer server(snippet);
  for (const char* body : {"one", "two", "six"}) {
    const std::string response = server.Serve(
        std::string(
            "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\n") +
        body);
    EXPECT_EQ("ok", BodyOf(response));
  }
  EXPECT_EQ("[b'one', b'two', b'six']", snippet.Eval("seen[1::2]"));
  EXPECT_EQ("1", snippet.Eval("len(set(seen[::2]))"));
}

TEST(WsgiCall, WhatAnApplicationHasKeptNeverActsOnAnotherRequest) {
  const char* const kinds[] = {
      "s('200 OK', [])\nkept.append(s)",
      "kept.append(s('200 OK', []))",
      "s('200 OK', [])\nkept.append(e['wsgi.early_hints'])",
      "s('200 OK', [])\nkept.append(e['wsgi.input'].read)",
      "s('200 OK', [])\nkept.append(e)",
      "w = s('200 OK', [])\nkept.append(weakref.ref(w))",
      "w = s('200 OK', [])\nif w.__module__: seen.append(w.__module__)\nw.__module__ = "
      "e\nkept.append(1)",
      "s('200 OK', [])\nkept.append(weakref.ref(e['wsgi.early_hints']))",
  };
  for (const char* kind : kinds) {
    SCOPED_TRACE(kind);
    // What one request has kept is used while the next is served.
    Snippet snippet(Numbered(
        std::string("for old in kept:\n"
                    "  if isinstance(old, dict): old = old['wsgi.early_hints']\n"
                    "  if old == 1: continue\n"
                    "  if isinstance(old, weakref.ref): old = old() or (lambda *a: 1 / 0)\n"
                    "  for arguments in [(), (b'stolen',), ([],), ('500 Stolen', [])]:\n"
                    "    try:\n"
                    "      old(*arguments)\n"
                    "      seen.append(arguments)\n"
                    "    except (RuntimeError, ValueError, TypeError, ZeroDivisionError): pass\n") +
        kind));
    WsgiServer server(snippet);
    for (int i = 0; i < 3; ++i) {
      const std::string response = server.Get();
      EXPECT_EQ("200 OK", StatusOf(response));
      EXPECT_EQ("ok", BodyOf(response));
    }
    EXPECT_EQ("[]", snippet.Eval("seen"));
    EXPECT_EQ("3", snippet.Eval("len(kept)"));
  }
}

TEST(WsgiCall, ASecondStartResponseThatIsRefusedChangesNothing) {
  Snippet snippet(
      "import sys\n"
      "def app(e, s):\n"
      "  s('200 OK', [('X-First', '1')])\n"
      "  try: 1 / 0\n"
      "  except ZeroDivisionError:\n"
      "    try: s('500 Bad', [('X-Second', '1'), ('Bad\\n', '')], sys.exc_info())\n"
      "    except ValueError: pass\n"
      "  return [b'ok']\n");
  WsgiServer server(snippet);
  const std::string response = server.Get();
  EXPECT_EQ("200 OK", StatusOf(response));
  EXPECT_EQ("1", HeaderOf(response, "X-First"));
  EXPECT_EQ("", HeaderOf(response, "X-Second"));
}

// Memory that only one response needed must not be kept for all that follow.
TEST(WsgiCall, CallablesOfALargeHeadAreNotUsedAgain) {
  Snippet snippet(
      Numbered("seen.append(id(s))\n"
               "s('200 OK', [('X', 'x' * (100000 if e['PATH_INFO'] == '/large' else 1))])"));
  WsgiServer server(snippet);
  // Objects of the same size, so that a new one cannot come to be where the last one was.
  for (const char* target : {"/", "/large", "/"}) {
    server.Get(target);
    snippet.Exec("kept.append([b'%07d' % i for i in range(10000)])");
  }
  EXPECT_EQ("[True, False]", snippet.Eval("[a == b for a, b in zip(seen, seen[1:])]"));
}

TEST(WsgiCall, HeadersThatComeAfterTheirRequestIsOverAreRefused) {
  for (const char* function : {"lambda headers: s('200 Late', headers)", "e['wsgi.early_hints']"}) {
    // The list of headers is made by code that ends the request's life before it yields.
    Snippet snippet(
        "import threading\n"
        "errors = []\n"
        "over = threading.Event()\n"
        "def late():\n"
        "  over.wait(10)\n"
        "  yield ('X-Late', '1')\n"
        "def start(function):\n"
        "  try: function(late())\n"
        "  except RuntimeError as error: errors.append(str(error))\n"
        "def app(e, s):\n"
        "  if e['PATH_INFO'] == '/late':\n"
        "    function = " +
        std::string(function) +
        "\n"
        "    app.thread = threading.Thread(target=start, args=(function,)); app.thread.start()\n"
        "  else:\n"
        "    over.set(); app.thread.join()\n"
        "  s('200 OK', [])\n"
        "  return [b'ok']\n");
    WsgiServer server(snippet);
    for (const char* target : {"/late", "/"}) {
      const std::string response = server.Get(target);
      EXPECT_EQ("200 OK", StatusOf(response));
      EXPECT_EQ("", HeaderOf(response, "X-Late"));
    }
    EXPECT_EQ("['start_response was used after its request was over']", snippet.Eval("errors"));
  }
}

}  // namespace
}  // namespace gunid
