#include "python/wsgi_environ.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "gunid/version.h"
#include "python/interpreter.h"
#include "python/python_fixture.h"

namespace gunid {
namespace {

constexpr char kRecorder[] = R"(
def app(environ, start_response):
    global seen
    seen = environ
    body = environ['wsgi.input'].read()
    start_response('200 OK', [])
    return [body]
)";

class WsgiEnvironTest : public ::testing::Test {
 protected:
  void Expect(const std::string& expression, const std::string& value) {
    EXPECT_EQ(value, snippet_.Eval(expression)) << expression;
  }
  Snippet snippet_{kRecorder};
};

TEST_F(WsgiEnvironTest, HasTheVariablesOfPep3333) {
  WsgiServer server(snippet_);
  server.Serve(
      "POST /a%20b/%e4?x=%20y HTTP/1.1\r\nHost: example.org:81\r\nContent-Type: text/plain\r\n"
      "Content-Length: 003\r\nX-One: 1\r\nConnection: close\r\n\r\nabc");
  Expect("seen['REQUEST_METHOD']", "POST");
  Expect("seen['SCRIPT_NAME']", "");
  Expect("seen['PATH_INFO'] == '/a b/\\xe4'", "True");
  Expect("seen['QUERY_STRING']", "x=%20y");
  Expect("seen['RAW_URI']", "/a%20b/%e4?x=%20y");
  Expect("seen['SERVER_PROTOCOL']", "HTTP/1.1");
  Expect("seen['SERVER_SOFTWARE']", "gunid/" GUNID_VERSION);
  Expect("seen['SERVER_NAME']", "127.0.0.1");
  Expect("int(seen['SERVER_PORT']) > 0", "True");
  Expect("seen['REMOTE_ADDR']", "127.0.0.1");
  Expect("int(seen['REMOTE_PORT']) > 0", "True");
  Expect("seen['CONTENT_TYPE']", "text/plain");
  Expect("seen['CONTENT_LENGTH']", "3");
  Expect("seen['HTTP_HOST']", "example.org:81");
  Expect("seen['HTTP_X_ONE']", "1");
  Expect("[k for k in seen if 'CONTENT' in k]", "['CONTENT_TYPE', 'CONTENT_LENGTH']");
  Expect("seen['wsgi.version']", "(1, 0)");
  Expect("seen['wsgi.url_scheme']", "http");
  Expect("(seen['wsgi.multithread'], seen['wsgi.multiprocess'], seen['wsgi.run_once'])",
         "(False, True, False)");
  Expect("seen['wsgi.input_terminated']", "True");
  Expect("type(seen)", "<class 'dict'>");
}

TEST_F(WsgiEnvironTest, IsMadeAnewForEachRequest) {
  WsgiServer server(snippet_);
  server.Serve("GET / HTTP/1.0\r\nX-Once: 1\r\n\r\n");
  snippet_.Exec("seen['REQUEST_METHOD'] = 'spoilt'; seen['extra'] = 1; first = seen");
  server.Serve("GET /2 HTTP/1.0\r\n\r\n");
  Expect("seen is first", "False");
  Expect("(seen['REQUEST_METHOD'], seen['PATH_INFO'], seen['SERVER_PROTOCOL'])",
         "('GET', '/2', 'HTTP/1.0')");
  Expect("'extra' in seen or 'HTTP_X_ONCE' in seen or 'CONTENT_LENGTH' in seen", "False");
}

TEST_F(WsgiEnvironTest, JoinsRepeatedFields) {
  WsgiServer server(snippet_);
  server.Serve(
      "GET / HTTP/1.0\r\nX-A: 1\r\nx-a: 2\r\nX-A: close\r\nX-a: close\r\nCookie: a=1\r\n"
      "cookie: b=2\r\nX_Spoof: 1\r\nRemote_User: me\r\nX-Latin: "
      "\xe4\r\n\r\n");
  Expect("seen['HTTP_X_A']", "1,2,close,close");
  Expect("seen['HTTP_COOKIE']", "a=1; b=2");
  Expect("[k for k in seen if 'SPOOF' in k or 'USER' in k]", "[]");
  Expect("seen['HTTP_X_LATIN'] == '\\xe4'", "True");
}

TEST_F(WsgiEnvironTest, TellsWhatATrustedProxySays) {
  WsgiServer server(snippet_);
  server.engine_options().forwarders = *IpNetworks::Parse("127.0.0.1");
  server.Serve(
      "GET /mount/a%20b HTTP/1.0\r\nX-Forwarded-Proto: https\r\nSCRIPT_NAME: /mount/\r\n\r\n");
  Expect("seen['wsgi.url_scheme']", "https");
  Expect("(seen['SCRIPT_NAME'], seen['PATH_INFO'])", "('/mount', '/a b')");
}

TEST_F(WsgiEnvironTest, BelievesNobodyElse) {
  WsgiServer server(snippet_);
  server.Serve("GET /mount/a HTTP/1.0\r\nX-Forwarded-Proto: https\r\nSCRIPT_NAME: /mount\r\n\r\n");
  Expect("seen['wsgi.url_scheme']", "http");
  Expect("(seen['SCRIPT_NAME'], seen['PATH_INFO'])", "('', '/mount/a')");
}

TEST_F(WsgiEnvironTest, APathOutsideOfScriptNameIsAnError) {
  WsgiServer server(snippet_);
  server.engine_options().forwarders = *IpNetworks::Parse("127.0.0.1");
  const std::string response = server.Serve("GET /mounted HTTP/1.0\r\nSCRIPT_NAME: /mount\r\n\r\n");
  EXPECT_EQ(StatusOf(response), "500 Internal Server Error");
}

TEST_F(WsgiEnvironTest, HasTheAddressesOfAProxyHeader) {
  WsgiServer server(snippet_);
  server.engine_options().proxy_protocol = ProxyProtocol::kAuto;
  server.engine_options().proxies = *IpNetworks::Parse("127.0.0.1");
  server.Serve("PROXY TCP4 192.0.2.7 203.0.113.1 4321 443\r\nGET / HTTP/1.0\r\n\r\n");
  Expect("(seen['REMOTE_ADDR'], seen['REMOTE_PORT'])", "('192.0.2.7', '4321')");
  Expect("(seen['PROXY_PROTOCOL'], seen['PROXY_ADDR'], seen['PROXY_PORT'])",
         "('TCP4', '203.0.113.1', '443')");
  server.Serve("GET / HTTP/1.0\r\n\r\n");
  Expect("[k for k in seen if 'PROXY' in k]", "[]");
}

// What is used again for the next request must be the same in every byte. The ports share their lowest
// bits, and all texts their length.
TEST_F(WsgiEnvironTest, NoClientGetsWhatAnotherHasSent) {
  const std::string long_a(200, 'a');
  const std::string long_b(200, 'b');
  const struct {
    std::string host, port, target, value;
  } clients[] = {
      {"192.0.2.1", "1000", "/one", "first"}, {"192.0.2.2", "1256", "/two", "other"},
      {"192.0.2.2", "1000", "/one", long_a},  {"192.0.2.1", "1256", "/two", "other"},
      {"192.0.2.1", "1000", "/one", long_b},  {"192.0.2.1", "1000", "/one", long_a},
      {"192.0.2.2", "1256", "/two", "first"}, {"192.0.2.2", "1256", "/two", "first"},
  };
  WsgiServer server(snippet_);
  server.engine_options().proxy_protocol = ProxyProtocol::kAuto;
  server.engine_options().proxies = *IpNetworks::Parse("127.0.0.1");
  for (const auto& [host, port, target, value] : clients) {
    server.Serve("PROXY TCP4 " + host + " 203.0.113.1 " + port + " 443\r\nGET " + target +
                 " HTTP/1.0\r\nCookie: " + value + "\r\nX-A: " + value + "\r\n\r\n");
    Expect("(seen['REMOTE_ADDR'], seen['REMOTE_PORT'], seen['PATH_INFO'], seen['RAW_URI'])",
           "('" + host + "', '" + port + "', '" + target + "', '" + target + "')");
    Expect("seen['HTTP_COOKIE']", value);
    Expect("seen['HTTP_X_A']", value);
  }
}

TEST_F(WsgiEnvironTest, OnlyShortValuesAreKeptForTheNextRequest) {
  const struct {
    std::size_t length;
    const char* kept;
  } cases[] = {{100, "True"}, {200, "False"}};
  for (const auto& [length, kept] : cases) {
    WsgiServer server(snippet_);
    const std::string request = "GET / HTTP/1.0\r\nX-A: " + std::string(length, 'a') + "\r\n\r\n";
    server.Serve(request);
    snippet_.Exec("first = seen");
    server.Serve(request);
    Expect("seen['HTTP_X_A'] is first['HTTP_X_A']", kept);
  }
}

TEST_F(WsgiEnvironTest, GivesChunkedBodiesTheirLength) {
  WsgiServer server(snippet_);
  const std::string response = server.Serve(
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ("abcde", BodyOf(response));
  Expect("seen['CONTENT_LENGTH']", "5");
  Expect("'HTTP_TRANSFER_ENCODING' in seen", "False");
}

TEST_F(WsgiEnvironTest, SurvivesManyInventedNames) {
  WsgiServer server(snippet_);
  for (int i = 0; i < 20; ++i) {
    std::string request = "GET / HTTP/1.0\r\nUser-Agent: u\r\n";
    for (int j = 0; j < 90; ++j) {
      request += "X-N" + std::to_string(i * 100 + j) + ": " + std::to_string(j) + "\r\n";
    }
    server.Serve(request + "\r\n");
    Expect("seen['HTTP_X_N" + std::to_string(i * 100 + 89) + "']", "89");
    Expect("len([k for k in seen if k.startswith('HTTP_')])", "91");
  }
}

TEST_F(WsgiEnvironTest, NamesTheServerOfAUnixSocketByTheHostField) {
  const TemporaryFolder folder;
  WsgiServer server(snippet_);
  server.ListenOn("unix:" + (folder.path() / "s").string());
  const struct {
    const char* head;
    const char* server;
  } cases[] = {
      {"Host: example.org:8080\r\n", "('example.org', '8080')"},
      {"Host: example.org\r\n", "('example.org', '80')"},
      {"Host: [::1]:81\r\n", "('[::1]', '81')"},
      {"Host: [::1]\r\n", "('[::1]', '80')"},
      {"", "('localhost', '80')"},
  };
  for (const auto& [head, name] : cases) {
    server.Serve("GET / HTTP/1.0\r\n" + std::string(head) + "\r\n");
    Expect("(seen['SERVER_NAME'], seen['SERVER_PORT'])", name);
    Expect("(seen['REMOTE_ADDR'], 'REMOTE_PORT' in seen)", "('', False)");
  }
}

TEST_F(WsgiEnvironTest, TakesScriptNameFromTheEnvironment) {
  ASSERT_TRUE(SetEnvironment({"SCRIPT_NAME=/sub/"}).ok());
  WsgiServer server(snippet_);
  snippet_.Exec("import os; del os.environ['SCRIPT_NAME']");
  server.Get("/sub/page?q");
  Expect("(seen['SCRIPT_NAME'], seen['PATH_INFO'])", "('/sub', '/page')");
  server.Get("/sub");
  Expect("(seen['SCRIPT_NAME'], seen['PATH_INFO'])", "('/sub', '')");
  const CapturedLog log;
  EXPECT_EQ("500 Internal Server Error", StatusOf(server.Get("/subway")));
  EXPECT_THAT(log.text(), ::testing::HasSubstr("does not start with SCRIPT_NAME '/sub'"));
}

TEST_F(WsgiEnvironTest, WritesErrorsToTheLogDescriptor) {
  int fds[2];
  ASSERT_EQ(0, ::pipe(fds));
  {
    WsgiServer server(snippet_, {.errors_fd = fds[1]});
    server.Get();
    Expect("seen['wsgi.errors'].write('caf\\xe9 \\udcff\\n')", "7");
    char buffer[64] = {};
    ASSERT_GT(::read(fds[0], buffer, sizeof buffer - 1), 0);
    EXPECT_STREQ("caf\xc3\xa9 \\udcff\n", buffer);
    snippet_.Exec("del seen");
  }
  EXPECT_EQ(0, ::close(fds[1]));
  ::close(fds[0]);
}

}  // namespace
}  // namespace gunid
