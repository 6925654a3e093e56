#include "http/chunked_decoder.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace gunid {
namespace {

using Outcome = ChunkedDecoder::Outcome;

struct Decoded {
  Outcome outcome = Outcome::kMore;
  std::string data;
  std::size_t consumed = 0;

  bool operator==(const Decoded&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Decoded& decoded) {
  return out << static_cast<int>(decoded.outcome) << " [" << decoded.data << "] "
             << decoded.consumed;
}

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

Decoded DecodePieces(std::string_view input, std::size_t first, std::size_t piece,
                     std::uint64_t limit) {
  ChunkedDecoder decoder(limit);
  decoder.Start();
  Decoded decoded;
  std::size_t size = first;
  for (std::string_view rest = input; !rest.empty(); rest.remove_prefix(size), size = piece) {
    size = std::min(size, rest.size());
    decoded.outcome = decoder.Decode(rest.substr(0, size), decoded.consumed,
                                     [&decoded](std::string_view data) { decoded.data += data; });
    if (decoded.outcome != Outcome::kMore) break;
  }
  return decoded;
}

// Whole; and the same however it is cut.
Decoded Decode(std::string_view input, std::uint64_t limit = kUnlimited) {
  const Decoded whole = DecodePieces(input, input.size(), input.size(), limit);
  EXPECT_EQ(DecodePieces(input, 1, 1, limit), whole) << input;
  for (std::size_t cut = 1; cut < input.size(); ++cut) {
    EXPECT_EQ(DecodePieces(input, cut, input.size(), limit), whole) << input << " cut at " << cut;
  }
  return whole;
}

TEST(ChunkedDecoder, GivesTheDataAndStopsBehindTheLineOfTheLastChunk) {
  EXPECT_EQ(Decode("3\r\nabc\r\n00A\r\n0123456789\r\n0\r\nTrailer"),
            (Decoded{Outcome::kEnd, "abc0123456789", 8 + 17 + 3}));
  EXPECT_EQ(Decode("0000\r\n"), (Decoded{Outcome::kEnd, "", 6}));
  EXPECT_EQ(Decode("5\r\nab"), (Decoded{Outcome::kMore, "ab", 5}));
}

TEST(ChunkedDecoder, IgnoresExtensions) {
  for (const std::string extension :
       {";a", ";a=b", ";a=b;c;d=e", " ; a = b", "\t;\ta\t;b", ";a=\"\"", ";a=\"b;\\\"\\\\\r\"",
        ";a=\"\xe4 \t\";b", ";a-b=c!d"}) {
    const bool valid = extension.find('\r') == std::string::npos;
    const Decoded decoded = Decode("1" + extension + "\r\nx\r\n0" + extension + "\r\n");
    EXPECT_EQ(decoded.outcome, valid ? Outcome::kEnd : Outcome::kMalformed) << extension;
    EXPECT_EQ(decoded.data, valid ? "x" : "") << extension;
  }
}

TEST(ChunkedDecoder, RefusesWhatIsMalformed) {
  for (const std::string_view input : {"\r\n",
                                       "x\r\n",
                                       "-1\r\n",
                                       "+1\r\n",
                                       " 1\r\n",
                                       "0x1\r\n",
                                       "1 \r\n",
                                       "1\t\r\n",
                                       "1\n",
                                       "1\rx",
                                       "1;\r\n",
                                       "1;=a\r\n",
                                       "1;a=\r\n",
                                       "1;a b\r\n",
                                       "1;a \r\n",
                                       "1;a=b c\r\n",
                                       "1;a=\"b\"c\r\n",
                                       "1;a=b=c\r\n",
                                       "1;a=\"\x01\"\r\n",
                                       "1;a\x7f\r\n",
                                       "1;a=\"b\n\"\r\n",
                                       "1,2\r\n",
                                       "1\r\nxy",
                                       "1\r\nx\n",
                                       "1\r\nx\rx",
                                       "1\r\nx\r\n\r\n",
                                       "10000000000000000\r\n",
                                       "FFFFFFFFFFFFFFFFF\r\n"}) {
    EXPECT_EQ(Decode(input).outcome, Outcome::kMalformed) << input;
  }
}

TEST(ChunkedDecoder, TakesTheLargestSize) {
  EXPECT_EQ(Decode("ffffffffffffffff\r\nx"), (Decoded{Outcome::kMore, "x", 19}));
}

TEST(ChunkedDecoder, RefusesAChunkThatExceedsTheLimit) {
  EXPECT_EQ(Decode("3\r\nabc\r\n2\r\nde\r\n0\r\n", 5).outcome, Outcome::kEnd);
  EXPECT_EQ(Decode("3\r\nabc\r\n3\r\ndef", 5), (Decoded{Outcome::kTooLarge, "abc", 10}));
  EXPECT_EQ(Decode("3\r\nabc\r\nffffffffffffffff\r\n", 5).outcome, Outcome::kTooLarge);
}

TEST(ChunkedDecoder, RefusesFramingOutOfProportion) {
  EXPECT_EQ(DecodePieces("1;" + std::string(100'000, 'a'), 100'002, 1, kUnlimited).outcome,
            Outcome::kTooMuchFraming);
  std::string smallest;
  for (int i = 0; i < 10'000; ++i) smallest += "1\r\nx\r\n";
  EXPECT_EQ(DecodePieces(smallest, smallest.size(), 1, kUnlimited).outcome, Outcome::kMore);
}

TEST(ChunkedDecoder, StartsAnew) {
  ChunkedDecoder decoder(5);
  for (int i = 0; i < 3; ++i) {
    decoder.Start();
    std::size_t consumed = 0;
    EXPECT_EQ(decoder.Decode("5\r\nabcde\r\n0\r\n", consumed, {}), Outcome::kEnd);
    EXPECT_EQ(consumed, 13U);
  }
}

}  // namespace
}  // namespace gunid
