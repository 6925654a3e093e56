#include "python/file_wrapper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "python/python_fixture.h"

namespace gunid {
namespace {

class FileWrapperTest : public ::testing::Test {
 protected:
  FileWrapperTest() {
    EXPECT_TRUE(types_.Create());
    snippet_.Set("FileWrapper", PyRef::Borrow(types_.type()));
    folder_.Write("file", "0123456789");
  }

  std::optional<FileRegion> Region(const std::string& source) {
    snippet_.Exec(source);
    return types_.Region(snippet_.Get("result").get());
  }

  const TemporaryFolder folder_;
  FileWrapper types_;
  Snippet snippet_{"import gzip, io, os, tempfile"};
};

TEST_F(FileWrapperTest, IteratesOverBlocks) {
  EXPECT_EQ("[b'0123', b'4567', b'89']", snippet_.Eval("list(FileWrapper(open('file', 'rb'), 4))"));
  EXPECT_EQ("[b'0123456789']", snippet_.Eval("list(FileWrapper(open('file', 'rb')))"));
  EXPECT_EQ("[5, 5, 3]",
            snippet_.Eval("[len(x) for x in FileWrapper(io.BytesIO(bytes(13)), blksize=5)]"));
  EXPECT_THAT(snippet_.Eval("FileWrapper()"), ::testing::HasSubstr("TypeError"));
  EXPECT_THAT(snippet_.Eval("list(FileWrapper(3))"), ::testing::HasSubstr("AttributeError"));
}

TEST_F(FileWrapperTest, ClosesTheFile) {
  snippet_.Exec("f = open('file', 'rb'); FileWrapper(f).close()");
  EXPECT_EQ("True", snippet_.Eval("f.closed"));
  snippet_.Exec("class NoClose:\n  def read(self, n): return b''\n");
  EXPECT_EQ("None", snippet_.Eval("FileWrapper(NoClose()).close()"));
}

TEST_F(FileWrapperTest, FindsTheRegionOfPlainFiles) {
  const struct {
    const char* source;
    off_t offset;
    std::uint64_t size;
  } cases[] = {
      {"f = open('file', 'rb')", 0, 10},
      {"f = open('file', 'rb', buffering=0); f.seek(4)", 4, 6},
      {"f = open('file', 'rb'); f.read(3)", 3, 7},  // the descriptor's own position is at the end
      {"f = open('file', 'rb'); f.seek(99)", 99, 0},
      {"f = tempfile.TemporaryFile(); f.write(b'abc'); f.seek(1)", 1, 2},
      {"f = open('file', 'r+b'); f.seek(10); f.write(b'ab'); f.seek(0)", 0, 12},
  };
  for (const auto& [source, offset, size] : cases) {
    const auto region = Region(std::string(source) + "\nresult = FileWrapper(f)");
    ASSERT_TRUE(region) << source;
    EXPECT_EQ(offset, region->offset) << source;
    EXPECT_EQ(size, region->size) << source;
    EXPECT_EQ(std::to_string(region->fd), snippet_.Eval("f.fileno()"));
  }
}

TEST_F(FileWrapperTest, LeavesTheRestToIteration) {
  for (const char* source : {
           "result = FileWrapper(io.BytesIO(b'x'))",
           "gzip.open('file.gz', 'wb').close(); result = FileWrapper(gzip.open('file.gz'))",
           "r, w = os.pipe(); result = FileWrapper(open(r, 'rb'))",
           "f = open('file', 'rb'); f.close(); result = FileWrapper(f)",
           "class Sub(FileWrapper): pass\nresult = Sub(open('file', 'rb'))",
           "result = open('file', 'rb')",
           "result = FileWrapper(open('file'))",
           "result = FileWrapper(io.BufferedReader(io.BytesIO(b'x')))",
           "result = []",
       }) {
    EXPECT_FALSE(Region(source)) << source;
    EXPECT_EQ(nullptr, PyErr_Occurred()) << source;
  }
}

}  // namespace
}  // namespace gunid
