#include "python/wsgi_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "python/py_text.h"
#include "python/python_fixture.h"

namespace gunid {
namespace {

// `body` in `stream` as wsgi.input, and in `model` as the io.BytesIO that it has to behave like.
class WsgiInputTest : public ::testing::Test {
 protected:
  void Fill(const std::string& body) {
    buffer_.Clear();
    for (std::size_t i = 0; i < body.size(); i += 1000) {
      ASSERT_TRUE(buffer_.Append(std::string_view(body).substr(i, 1000)).ok());
    }
    ASSERT_TRUE(buffer_.Complete().ok());
    stream_ = NewWsgiInput(type_);
    AttachWsgiInput(stream_, buffer_);
    snippet_.Set("stream", stream_);
    snippet_.Set("body", PyRef::Steal(PyBytes_FromStringAndSize(
                             body.data(), static_cast<Py_ssize_t>(body.size()))));
    snippet_.Exec("model = io.BytesIO(body)");
  }

  // The calls of `script` on f give the same results for both.
  void Compare(const std::string& script) {
    snippet_.Set("script", Latin1(script));
    EXPECT_EQ("True", snippet_.Eval("repr(run(stream, script)) == repr(run(model, script))"))
        << script << "\n"
        << snippet_.Eval("repr(run(stream, script))[:300]");
  }

  const PyRef type_ = MakeWsgiInputType();
  BodyBuffer buffer_;
  PyRef stream_;
  Snippet snippet_{R"(
import io
def run(f, script):
    results = []
    for call in script.split(';'):
        try:
            results.append(eval(call, {'f': f}))
        except Exception as e:
            results.append(type(e))
    return results
)"};
};

constexpr const char* kScripts[] = {
    "f.read()",
    "f.read(); f.read()",
    "f.read(None)",
    "f.read(-1)",
    "f.read(0); f.read(1); f.read(2); f.read(10**6); f.read(1)",
    "f.readline(); f.readline(); f.readline(); f.readline()",
    "f.readline(0); f.readline(2); f.readline(2); f.readline(-1); f.readline(None)",
    "f.readlines()",
    "f.readlines(1); f.readlines(5); f.readlines(None)",
    "f.readlines(0); f.readlines(-1)",
    "list(f)",
    "next(f); f.read(3); next(f); next(f); next(f); next(f)",
    "f.read(1, 2)",
    "f.read('1')",
    "f.readline(1.5)",
    "f.read(True)",
    "f.read(2 ** 70)",
    "iter(f) is f",
};

TEST_F(WsgiInputTest, BehavesLikeBytesIO) {
  for (const char* body : {"", "\n", "abc", "a\nbc\n\nlast", "\n\n\n"}) {
    for (const char* script : kScripts) {
      Fill(body);
      Compare(script);
    }
  }
}

TEST_F(WsgiInputTest, ReadsBodiesThatAreInAFile) {
  std::string body;
  for (int i = 0; body.size() < 3 * BodyBuffer::kMemoryLimit; ++i) {
    body += std::string(static_cast<std::size_t>(i % 300), 'x') + "\n";
  }
  body += std::string(200'000, 'y');  // a line longer than any window
  for (const char* script : {"f.read()", "f.readlines()", "list(f)", "f.read(700001); f.readline()",
                             "[f.read(70001) for i in range(40)]",
                             "[f.readline(100) for i in range(9999)]", "f.readlines(600000)"}) {
    Fill(body);
    Compare(script);
  }
}

TEST_F(WsgiInputTest, RaisesOnceDetached) {
  Fill("left over");
  DetachWsgiInput(stream_);
  buffer_.Clear();
  for (const char* call : {"stream.read()", "stream.readline()", "stream.readlines()",
                           "next(stream)", "list(stream)"}) {
    EXPECT_EQ("EXCEPTION: ValueError: wsgi.input was used after its request was over",
              snippet_.Eval(call));
  }
}

TEST_F(WsgiInputTest, IsMadeByTheServerOnly) {
  Fill("");
  EXPECT_THAT(snippet_.Eval("type(stream)()"), ::testing::StartsWith("EXCEPTION: TypeError"));
  EXPECT_THAT(snippet_.Eval("object.__new__(type(stream))"),
              ::testing::StartsWith("EXCEPTION: TypeError"));
}

}  // namespace
}  // namespace gunid
