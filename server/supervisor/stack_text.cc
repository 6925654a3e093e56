#include "supervisor/stack_text.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace gunid {
namespace {

constexpr std::string_view kThread = "Thread 0x";
constexpr std::string_view kCurrentThread = "Current thread 0x";
constexpr std::string_view kGreenlet = "Greenlet 0x";
constexpr std::string_view kRequest = "(request ";

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// The number at the start of `text`, which is moved behind it.
std::optional<std::uint64_t> TakeNumber(std::string_view& text, int base) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

std::uint64_t SerialIn(std::string_view text) {
  const auto start = text.find(kRequest);
  if (start == std::string_view::npos) return 0;
  text.remove_prefix(start + kRequest.size());
  const auto serial = TakeNumber(text, 10);
  return serial && text.starts_with(')') ? *serial : 0;
}

// "Thread 0x00007f5d2e7fc740 (most recent call first):"; later Pythons put the thread's name
// before the parenthesis.
std::optional<StackBlock> ParseHeader(std::string_view line) {
  if (!line.ends_with(':')) return std::nullopt;
  StackBlock block;
  block.greenlet = TakePrefix(line, kGreenlet);
  if (!block.greenlet && !TakePrefix(line, kThread) && !TakePrefix(line, kCurrentThread)) {
    return std::nullopt;
  }
  const std::string_view digits = line;
  const auto ident = TakeNumber(line, 16);
  if (!ident) return std::nullopt;
  block.ident = *ident;
  block.name = block.greenlet ? kGreenlet : kThread;
  block.name += digits.substr(0, digits.size() - line.size());
  if (block.greenlet) block.serial = SerialIn(line);
  return block;
}

}  // namespace

std::vector<StackBlock> ParseStacks(std::string_view text) {
  std::vector<StackBlock> blocks;
  bool inside = false;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (auto header = ParseHeader(line)) {
      blocks.push_back(std::move(*header));
      inside = true;
    } else if (inside && line.starts_with(' ')) {
      if (!blocks.back().stack.empty()) blocks.back().stack += '\n';
      blocks.back().stack += line;
    } else {
      inside = false;
    }
  }
  return blocks;
}

const StackBlock* FindStack(const std::vector<StackBlock>& blocks, std::uint64_t serial,
                            std::uint64_t thread) {
  const auto find = [&](auto matches) {
    const auto found = std::find_if(blocks.begin(), blocks.end(), matches);
    return found != blocks.end() ? &*found : nullptr;
  };
  if (const auto* of_greenlet = find(
          [&](const StackBlock& block) { return block.serial != 0 && block.serial == serial; })) {
    return of_greenlet;
  }
  if (std::any_of(blocks.begin(), blocks.end(),
                  [](const StackBlock& block) { return block.greenlet; })) {
    return nullptr;  // all greenlets share their thread
  }
  return find([&](const StackBlock& block) { return block.ident == thread; });
}

}  // namespace gunid
