// Undoes the chunked transfer coding (RFC 9112 section 7.1) up to the line of the last chunk; the
// trailer section behind it is RequestParser's. Extensions are checked and ignored. A pure function
// of the bytes it is fed, in pieces of any size; one per RequestParser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace gunid {

class ChunkedDecoder {
 public:
  enum class Outcome {
    kMore,            // all input was taken
    kEnd,             // up to and with the line of the last chunk
    kMalformed,       // these and the following: up to the byte that offends
    kTooMuchFraming,  // sizes, extensions and line ends, out of all proportion to the data
    kTooLarge,        // a chunk is announced that exceeds the limit of the body
  };

  explicit ChunkedDecoder(std::uint64_t longest_body) : longest_body_(longest_body) {}

  void Start();  // of a body
  // Adds the bytes taken of `input` to `consumed`, and passes data to `on_data`, as views into it.
  using DataSink = std::function<void(std::string_view)>;
  Outcome Decode(std::string_view input, std::size_t& consumed, const DataSink& on_data);

 private:
  enum class At : std::uint8_t {
    kSize,      // before a digit of the size
    kMoreSize,  // behind one
    kBlankBeforeExtension,
    kExtensionName,  // before its first character
    kMoreExtensionName,
    kBlankBehindName,
    kExtensionValue,  // before its first character
    kMoreExtensionValue,
    kQuoted,
    kQuotedPair,
    kBehindValue,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
  };

  Outcome TakeFraming(char c);
  bool TakeSizeDigit(char c);
  bool TakeBehindSize(char c);
  bool TakeOfExtension(char c);
  Outcome BeginChunk();

  const std::uint64_t longest_body_;
  std::uint64_t chunk_left_ = 0;  // while the size is read: the size so far
  std::uint64_t data_bytes_ = 0;
  std::uint64_t framing_bytes_ = 0;
  At at_ = At::kSize;
};

}  // namespace gunid
