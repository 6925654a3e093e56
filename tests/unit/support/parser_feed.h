// Plays the connection for a RequestParser in tests: feeds it what arrives, piece by piece, from heap
// buffers of exactly their size that move with every piece and go as soon as they may, so that a
// sanitizer sees an over-read and a stale view. A broken contract of the parser (a view that points
// elsewhere, bytes left over, ...) ends the program, in a unit test as in a fuzzer.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/request_parser.h"
#include "support/contract.h"

namespace gunid {

class ParserFeed {
 public:
  using ParseError = RequestParser::ParseError;

  struct Receiver {
    // Gets the complete head; may change and refuse it.
    std::function<std::optional<ParseError>(RequestHead&)> head;
    // Gets the complete request; false if the connection ends with it.
    std::function<bool(const RequestHead&, const std::string& body)> request;
  };

  ParserFeed(const RequestLimits& limits, const ParserLaxity& laxity, Receiver receiver)
      : parser_(limits, laxity), receiver_(std::move(receiver)) {}

  // False: the connection has ended, and what comes after is not read.
  bool Receive(std::string_view bytes) {
    rest_ = bytes;
    while (!ended_ && (in_body_ ? FeedBody() : FeedHead())) {
    }
    return !ended_;
  }

  [[nodiscard]] const std::optional<ParseError>& error() const { return error_; }
  [[nodiscard]] bool in_message() const { return parser_.in_message(); }

 private:
  using State = RequestParser::State;
  using Bytes = std::vector<char>;  // its memory is what it was constructed with

  static Bytes Join(std::span<const char> first, std::span<const char> second) {
    Bytes joined(first.size() + second.size());
    std::copy(first.begin(), first.end(), joined.begin());
    std::copy(second.begin(), second.end(), joined.begin() + first.size());
    return joined;
  }

  // Both take from `rest_`, and return whether there is more to do.
  bool FeedHead() {
    if (rest_.empty()) return false;
    const std::size_t fed = head_.size();
    MoveHead(Join(head_, rest_));
    std::size_t consumed = 0;
    const State state = Feed(std::span(head_).subspan(fed), consumed);
    if (state != State::kHeadComplete) return EndPiece(state);

    const std::size_t end = fed + consumed;
    rest_.assign(head_.begin() + end, head_.end());
    MoveHead(Join(std::span(head_).first(end), {}));
    RequireContract(std::string_view(head_.data(), end).ends_with("\r\n\r\n"),
                    "a head ends in an empty line");
    in_body_ = true;
    if (auto refusal = receiver_.head(parser_.head())) return Refuse(*refusal);
    CheckViews();
    return true;
  }

  bool FeedBody() {
    Bytes piece = Join({}, rest_);
    MoveHead(Join(head_, {}));
    CheckViews();
    std::size_t consumed = 0;
    const State state = Feed(piece, consumed);
    if (state != State::kMessageComplete) return EndPiece(state);

    rest_.assign(piece.begin() + consumed, piece.end());
    ended_ = !receiver_.request(parser_.head(), body_);
    parser_.Reset();
    RequireContract(!parser_.in_message(), "nothing is left of a request after Reset()");
    head_.clear();
    body_.clear();
    in_body_ = false;
    return true;
  }

  State Feed(std::span<char> input, std::size_t& consumed) {
    const char* const end = input.data() + input.size();
    const State state = parser_.Feed(input, consumed, [&](std::string_view part) {
      RequireContract(part.data() >= input.data() && part.data() + part.size() <= end,
                      "body parts are views into the input");
      body_ += part;
    });
    RequireContract(consumed <= input.size(), "no more is consumed than was fed");
    RequireContract(state != State::kNeedMore || consumed == input.size(),
                    "all input is consumed when more is needed");
    return state;
  }

  bool EndPiece(State state) {
    if (state == State::kNeedMore) return false;
    RequireContract(state == State::kError, "head and message end in turns");
    std::size_t consumed = 0;
    Bytes more{'x'};
    RequireContract(parser_.Feed(more, consumed, {}) == State::kError, "an error is final");
    return Refuse(parser_.error());
  }

  bool Refuse(const ParseError& error) {
    error_ = error;
    ended_ = true;
    return false;
  }

  void MoveHead(Bytes moved) {
    parser_.Rebase(head_.data(), moved.data());
    head_ = std::move(moved);
  }

  void CheckViews() {
    const RequestHead& head = parser_.head();
    CheckView(head.method);
    CheckView(head.target);
    CheckView(head.parts.authority);
    CheckView(head.parts.query);
    if (head.parts.path != "/") CheckView(head.parts.path);  // a target may have none
    if (head.script_name) CheckView(*head.script_name);
    for (const HeaderField& field : head.headers) {
      CheckView(field.name);
      CheckView(field.value);
    }
  }

  void CheckView(std::string_view view) const {
    const bool inside =
        view.data() >= head_.data() && view.data() + view.size() <= head_.data() + head_.size();
    RequireContract(view.empty() || inside, "what a head says are views into the input");
  }

  RequestParser parser_;
  Receiver receiver_;
  Bytes head_;  // the bytes of the head so far
  std::string rest_;
  std::string body_;
  bool in_body_ = false;
  bool ended_ = false;
  std::optional<ParseError> error_;
};

}  // namespace gunid
