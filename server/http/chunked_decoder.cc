#include "http/chunked_decoder.h"

#include <algorithm>
#include <limits>

#include "http/field_syntax.h"

namespace gunid {
namespace {

// The smallest chunk needs 5 bytes of framing for one byte of data.
constexpr std::uint64_t kFramingAllowance = 16'384;
constexpr std::uint64_t kFramingPerDataByte = 16;

// qdtext, or what may follow a backslash (RFC 9110 section 5.6.4).
bool IsQuotable(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return c == '\t' || (byte >= ' ' && byte != 0x7f);
}

}  // namespace

void ChunkedDecoder::Start() {
  chunk_left_ = data_bytes_ = framing_bytes_ = 0;
  at_ = At::kSize;
}

ChunkedDecoder::Outcome ChunkedDecoder::Decode(std::string_view input, std::size_t& consumed,
                                               const DataSink& on_data) {
  for (std::size_t position = 0; position < input.size();) {
    if (at_ == At::kData) {
      const std::string_view data = input.substr(position, chunk_left_);
      if (on_data) on_data(data);
      position += data.size();
      consumed += data.size();
      data_bytes_ += data.size();
      chunk_left_ -= data.size();
      if (chunk_left_ == 0) at_ = At::kDataCr;
      continue;
    }
    const Outcome outcome = TakeFraming(input[position]);
    if (outcome != Outcome::kMore && outcome != Outcome::kEnd) return outcome;
    ++position;
    ++consumed;
    if (outcome == Outcome::kEnd) return outcome;
  }
  return Outcome::kMore;
}

ChunkedDecoder::Outcome ChunkedDecoder::TakeFraming(char c) {
  if (++framing_bytes_ > kFramingAllowance + kFramingPerDataByte * data_bytes_) {
    return Outcome::kTooMuchFraming;
  }
  bool expected = false;
  switch (at_) {
    case At::kSize:
      expected = TakeSizeDigit(c);
      break;
    case At::kMoreSize:
      expected = TakeSizeDigit(c) || TakeBehindSize(c);
      break;
    case At::kSizeLf:
      if (c == '\n') return BeginChunk();
      break;
    case At::kDataCr:
      expected = c == '\r';
      at_ = At::kDataLf;
      break;
    case At::kDataLf:
      expected = c == '\n';
      at_ = At::kSize;
      break;
    case At::kData:
      break;
    case At::kBlankBeforeExtension:
    case At::kExtensionName:
    case At::kMoreExtensionName:
    case At::kBlankBehindName:
    case At::kExtensionValue:
    case At::kMoreExtensionValue:
    case At::kQuoted:
    case At::kQuotedPair:
    case At::kBehindValue:
      expected = TakeOfExtension(c);
      break;
  }
  return expected ? Outcome::kMore : Outcome::kMalformed;
}

bool ChunkedDecoder::TakeSizeDigit(char c) {
  const int digit = HexDigit(c);
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max() / 16;
  if (digit < 0 || chunk_left_ > kMost) return false;
  chunk_left_ = chunk_left_ * 16 + static_cast<std::uint64_t>(digit);
  at_ = At::kMoreSize;
  return true;
}

// Also what may follow an extension: the next one, or the end of the line.
bool ChunkedDecoder::TakeBehindSize(char c) {
  if (c == '\r') {
    at_ = At::kSizeLf;
  } else if (c == ';') {
    at_ = At::kExtensionName;
  } else if (IsBlank(c)) {
    at_ = At::kBlankBeforeExtension;
  } else {
    return false;
  }
  return true;
}

bool ChunkedDecoder::TakeOfExtension(char c) {
  const auto move_if = [this](bool condition, At next) {
    if (condition) at_ = next;
    return condition;
  };
  switch (at_) {
    case At::kBlankBeforeExtension:
      return IsBlank(c) || move_if(c == ';', At::kExtensionName);
    case At::kExtensionName:
      return IsBlank(c) || move_if(IsTokenChar(c), At::kMoreExtensionName);
    case At::kMoreExtensionName:
      return IsTokenChar(c) || move_if(c == '=', At::kExtensionValue) ||
             move_if(IsBlank(c), At::kBlankBehindName) || TakeBehindSize(c);
    case At::kBlankBehindName:
      return IsBlank(c) || move_if(c == '=', At::kExtensionValue) ||
             move_if(c == ';', At::kExtensionName);
    case At::kExtensionValue:
      return IsBlank(c) || move_if(c == '"', At::kQuoted) ||
             move_if(IsTokenChar(c), At::kMoreExtensionValue);
    case At::kMoreExtensionValue:
      return IsTokenChar(c) || TakeBehindSize(c);
    case At::kQuoted:
      return move_if(c == '"', At::kBehindValue) || move_if(c == '\\', At::kQuotedPair) ||
             IsQuotable(c);
    case At::kQuotedPair:
      return move_if(IsQuotable(c), At::kQuoted);
    case At::kBehindValue:
      return TakeBehindSize(c);
    case At::kSize:
    case At::kMoreSize:
    case At::kSizeLf:
    case At::kData:
    case At::kDataCr:
    case At::kDataLf:
      break;
  }
  return false;
}

ChunkedDecoder::Outcome ChunkedDecoder::BeginChunk() {
  if (chunk_left_ == 0) return Outcome::kEnd;
  if (chunk_left_ > longest_body_ - data_bytes_) return Outcome::kTooLarge;
  at_ = At::kData;
  return Outcome::kMore;
}

}  // namespace gunid
