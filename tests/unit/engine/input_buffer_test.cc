#include "engine/input_buffer.h"

#include <gtest/gtest.h>

#include <string>

namespace gunid {
namespace {

class InputBufferTest : public testing::Test {
 protected:
  void Put(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::span<char> room = buffer_.MakeRoom(parser_);
      const std::size_t count = std::min(bytes.size(), room.size());
      ASSERT_GT(count, 0U);
      bytes.copy(room.data(), count);
      buffer_.Received(count);
      bytes.remove_prefix(count);
    }
  }

  RequestParser::State Feed() {
    std::size_t consumed = 0;
    const auto state = parser_.Feed(buffer_.unparsed(), consumed, [](std::string_view) {});
    buffer_.Parsed(consumed);
    return state;
  }

  std::string_view Unparsed() { return {buffer_.unparsed().data(), buffer_.unparsed().size()}; }

  BufferPool pool_;
  RequestParser parser_{RequestLimits{0, 0, 0}};
  InputBuffer buffer_{pool_};
};

TEST_F(InputBufferTest, TakesItsMemoryFromThePoolAndGivesItBack) {
  Put("x");
  const char* memory = buffer_.unparsed().data();
  buffer_.Release();
  EXPECT_FALSE(buffer_.has_unparsed());
  EXPECT_EQ(pool_.Take().get(), memory);
}

TEST_F(InputBufferTest, TheHeadSurvivesGrowth) {
  Put("GET /target HTTP/1.1\r\nHost: test\r\nX-Long: ");
  EXPECT_EQ(Feed(), RequestParser::State::kNeedMore);
  const std::string value(10 * BufferPool::kBufferSize, 'v');
  Put(value);
  EXPECT_EQ(Feed(), RequestParser::State::kNeedMore);
  Put("\r\n\r\n");
  ASSERT_EQ(Feed(), RequestParser::State::kHeadComplete);
  EXPECT_EQ(parser_.head().target, "/target");
  EXPECT_TRUE(parser_.head().Find("x-long") == value);
}

TEST_F(InputBufferTest, TheHeadSurvivesAMoveToTheFront) {
  const std::string first =
      "GET /first HTTP/1.1\r\nHost: test\r\nX: " + std::string(12'000, 'x') + "\r\n\r\n";
  const std::string second = "GET /second HTTP/1.1\r\nHost: other\r\nX: ";
  Put(first + second);
  ASSERT_EQ(Feed(), RequestParser::State::kHeadComplete);
  ASSERT_EQ(Feed(), RequestParser::State::kMessageComplete);
  buffer_.EndMessage();
  parser_.Reset();
  EXPECT_EQ(Unparsed(), second);
  EXPECT_EQ(Feed(), RequestParser::State::kNeedMore);
  const std::string value(8'000, 'y');
  Put(value + "\r\n\r\n");
  ASSERT_EQ(Feed(), RequestParser::State::kHeadComplete);
  EXPECT_EQ(parser_.head().target, "/second");
  EXPECT_EQ(parser_.head().Find("host"), "other");
  EXPECT_TRUE(parser_.head().Find("x") == value);
}

TEST_F(InputBufferTest, ABodyUsesTheSameRoomAgain) {
  Put("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n");
  ASSERT_EQ(Feed(), RequestParser::State::kHeadComplete);
  buffer_.EndHead();
  const char* room = buffer_.MakeRoom(parser_).data();
  for (int i = 0; i < 9; ++i) {
    Put(std::string(10'000, 'b'));
    ASSERT_EQ(Feed(), RequestParser::State::kNeedMore);
    buffer_.DropParsedBody();
    EXPECT_EQ(buffer_.MakeRoom(parser_).data(), room);
  }
  Put(std::string(10'000, 'b') + "GET /next");
  ASSERT_EQ(Feed(), RequestParser::State::kMessageComplete);
  EXPECT_EQ(parser_.head().target, "/upload");
  buffer_.EndMessage();
  EXPECT_EQ(Unparsed(), "GET /next");
}

TEST_F(InputBufferTest, LargeBuffersShareALimit) {
  const auto fill = [this](InputBuffer& buffer) {
    std::size_t held = 0;
    while (held < 2 * BufferPool::kMostLargeBytes) {
      const std::span<char> room = buffer.MakeRoom(parser_);
      if (room.empty()) break;
      std::fill(room.begin(), room.end(), 'x');
      buffer.Received(room.size());
      held += room.size();
    }
    return held;
  };
  EXPECT_EQ(fill(buffer_), BufferPool::kMostLargeBytes / 2);
  InputBuffer second(pool_);
  const std::size_t held_by_second = fill(second);
  EXPECT_GE(held_by_second, BufferPool::kBufferSize);  // small ones are not concerned
  EXPECT_LT(held_by_second, BufferPool::kMostLargeBytes / 2);
  buffer_.Release();
  second.Release();
  EXPECT_EQ(fill(second), BufferPool::kMostLargeBytes / 2);
}

}  // namespace
}  // namespace gunid
