#include "http/forwarded_headers.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "http/field_syntax.h"

namespace gunid {
namespace {

using ParseError = RequestParser::ParseError;

constexpr std::string_view kScriptName = "SCRIPT_NAME";

// Nearly all names have none: eight bytes at a time.
bool HasUnderscore(const HeaderField& field) {
  constexpr std::uint64_t kEach = 0x0101010101010101;
  const std::string_view name = field.name;
  const auto has = [&name](std::size_t at) {
    std::uint64_t word;
    std::memcpy(&word, name.data() + at, sizeof word);
    word ^= kEach * '_';
    return ((word - kEach) & ~word & (kEach << 7)) != 0;  // whether a byte is zero
  };
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  if (name.size() < kWord) return std::ranges::find(name, '_') != name.end();
  for (std::size_t at = 0; at + kWord < name.size(); at += kWord) {
    if (has(at)) return true;
  }
  return has(name.size() - kWord);
}

// Longer names share one.
std::uint64_t BitOf(std::size_t length) {
  return std::uint64_t{1} << std::min<std::size_t>(length, 63);
}

bool MayForward(const ForwardingRules& rules, std::string_view name) {
  return std::ranges::any_of(rules.forwarder_headers, [name](const std::string& allowed) {
    return allowed == "*" || EqualsIgnoreCase(allowed, name);
  });
}

// Whether the field says that the client uses https; nullopt for a field that tells no scheme.
std::optional<bool> SaysSecure(const ForwardingRules& rules, const HeaderField& field) {
  for (const auto& [name, value] : rules.secure_scheme_headers) {
    if (EqualsIgnoreCase(name, field.name)) return field.value == value;
  }
  return std::nullopt;
}

// A bit for each length that a name of a scheme header has.
std::uint64_t SchemeLengths(const ForwardingRules& rules) {
  std::uint64_t lengths = 0;
  for (const auto& [name, value] : rules.secure_scheme_headers) lengths |= BitOf(name.size());
  return lengths;
}

std::optional<ParseError> ReadScheme(const ForwardingRules& rules, RequestHead& head) {
  const std::uint64_t lengths = SchemeLengths(rules);
  std::optional<bool> secure;
  for (const HeaderField& field : head.headers) {
    if ((lengths & BitOf(field.name.size())) == 0) continue;
    const std::optional<bool> says = SaysSecure(rules, field);
    if (says && secure && *says != *secure) return ParseError{400, "Contradictory scheme headers"};
    if (says) secure = says;
  }
  head.secure = secure.value_or(false);
  return std::nullopt;
}

std::optional<ParseError> ReadScriptName(const ForwardingRules& rules, RequestHead& head) {
  for (const HeaderField& field : head.headers) {
    if (!EqualsIgnoreCase(field.name, kScriptName) || !MayForward(rules, kScriptName)) continue;
    if (head.script_name) return ParseError{400, "Repeated SCRIPT_NAME header"};
    head.script_name = field.value;
  }
  return std::nullopt;
}

std::optional<ParseError> ApplyHeaderMap(const ForwardingRules& rules, bool trusted,
                                         RequestHead& head) {
  if (rules.header_map == HeaderMap::kDangerous) return std::nullopt;
  const auto unwanted = [&](const HeaderField& field) {
    return HasUnderscore(field) && !(trusted && MayForward(rules, field.name));
  };
  if (rules.header_map == HeaderMap::kDrop) {
    std::erase_if(head.headers, unwanted);
  } else if (std::ranges::any_of(head.headers, unwanted)) {
    return ParseError{400, "Header name with an underscore"};
  }
  return std::nullopt;
}

}  // namespace

std::optional<ParseError> ApplyForwarding(const ForwardingRules& rules, bool trusted,
                                          RequestHead& head) {
  head.secure = false;
  head.script_name.reset();
  if (trusted) {
    if (auto error = ReadScheme(rules, head)) return error;
    if (auto error = ReadScriptName(rules, head)) return error;
  }
  return ApplyHeaderMap(rules, trusted, head);
}

}  // namespace gunid
