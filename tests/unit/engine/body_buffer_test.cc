#include "engine/body_buffer.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "support/temporary_directory.h"

namespace gunid {
namespace {

std::string ReadAll(BodyBuffer& body, std::size_t step) {
  std::string bytes;
  while (body.remaining() > 0) {
    const std::string_view next = body.Peek().substr(0, step);
    if (next.empty()) break;
    bytes += next;
    body.Consume(next.size());
  }
  return bytes;
}

TEST(BodyBuffer, KeepsSmallBodies) {
  BodyBuffer body;
  ASSERT_TRUE(body.Append("hello, ").ok());
  ASSERT_TRUE(body.Append("world").ok());
  EXPECT_EQ(body.size(), 12U);
  EXPECT_EQ(body.Peek(), "hello, world");
  body.Consume(7);
  EXPECT_EQ(body.Peek(), "world");
  EXPECT_EQ(body.remaining(), 5U);
  body.Consume(5);
  EXPECT_EQ(body.Peek(), "");
}

TEST(BodyBuffer, IsEmptyAtFirstAndAfterClear) {
  BodyBuffer body;
  EXPECT_EQ(body.Peek(), "");
  ASSERT_TRUE(body.Append(std::string(2 * BodyBuffer::kMemoryLimit, 'x')).ok());
  body.Peek();
  body.Clear();
  EXPECT_EQ(body.size(), 0U);
  ASSERT_TRUE(body.Append("next").ok());
  EXPECT_EQ(body.Peek(), "next");
}

TEST(BodyBuffer, UsesTheMemoryOfEarlierBodies) {
  BodyMemoryPool pool;
  BodyBuffer first;
  BodyBuffer second;
  for (BodyBuffer* body : {&first, &second}) body->UsePool(pool);
  const std::string large(100'000, 'x');
  ASSERT_TRUE(first.Append(large).ok());
  const char* const memory = first.Peek().data();
  first.Clear();
  ASSERT_TRUE(second.Append("small").ok());
  EXPECT_NE(second.Peek().data(), memory);
  ASSERT_TRUE(second.Append(large.substr(5)).ok());
  EXPECT_EQ(second.Peek().data(), memory);
  EXPECT_TRUE(ReadAll(second, 10'000) == "small" + large.substr(5));
}

TEST(BodyBuffer, MemoryThatIsKeptHasALimit) {
  BodyMemoryPool pool;
  std::vector<BodyBuffer> bodies(10);
  for (BodyBuffer& body : bodies) {
    body.UsePool(pool);
    ASSERT_TRUE(body.Append(std::string(1000, 'x')).ok());
  }
  for (BodyBuffer& body : bodies) body.Clear();
  int kept = 0;
  while (pool.Take().capacity() >= 1000) ++kept;
  EXPECT_EQ(kept, 4);
}

class BodySizeTest : public testing::TestWithParam<std::size_t> {};

TEST_P(BodySizeTest, GivesBackWhatWasAppended) {
  std::string bytes(GetParam(), '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 131 >> 5);
  for (const std::size_t step : {777UL, 16'384UL, 10'000'000UL}) {
    BodyBuffer body;
    for (std::size_t i = 0; i < bytes.size(); i += 10'000) {
      ASSERT_TRUE(body.Append(std::string_view(bytes).substr(i, 10'000)).ok());
    }
    ASSERT_TRUE(body.Complete().ok());
    EXPECT_EQ(body.size(), bytes.size());
    EXPECT_TRUE(ReadAll(body, step) == bytes) << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, BodySizeTest,
                         testing::Values(0, 1, BodyBuffer::kMemoryLimit - 1,
                                         BodyBuffer::kMemoryLimit, BodyBuffer::kMemoryLimit + 1,
                                         5 * BodyBuffer::kMemoryLimit + 3));

TEST(BodyBuffer, TakesABodyInSmallPieces) {
  BodyBuffer body;
  std::string expected;
  for (int i = 0; i < 300'000; ++i) {
    const char c = static_cast<char>('a' + i % 26);
    ASSERT_TRUE(body.Append(std::string_view(&c, 1)).ok());
    expected += c;
  }
  ASSERT_TRUE(body.Complete().ok());
  std::string read;
  while (body.remaining() > 0) {
    const std::string_view part = body.Peek();
    ASSERT_FALSE(part.empty());
    read += part;
    body.Consume(part.size());
  }
  EXPECT_TRUE(read == expected);
}

TEST(BodyBuffer, SaysWhereItFailed) {
  const char* old = std::getenv("TMPDIR");
  const std::string saved = old != nullptr ? old : "/tmp";
  const TemporaryDirectory directory;
  ::setenv("TMPDIR", (directory.path() + "/absent").c_str(), 1);
  BodyBuffer body;
  const Status status = body.Append(std::string(BodyBuffer::kMemoryLimit + 1, 'x'));
  ::setenv("TMPDIR", saved.c_str(), 1);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("/absent"), std::string::npos);
}

}  // namespace
}  // namespace gunid
