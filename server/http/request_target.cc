#include "http/request_target.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "http/field_syntax.h"

namespace gunid {
namespace {

// Unreserved characters and sub-delims (RFC 3986 section 2).
constexpr std::array<bool, 256> kRegNameChars = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = table[c + ('a' - 'A')] = true;
  for (const unsigned char c : std::string_view("-._~!$&'()*+,;=")) table[c] = true;
  return table;
}();

// What follows "http://" or "https://", from the authority on; nullopt for any other scheme.
std::optional<std::string_view> AfterHttpScheme(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (EqualsIgnoreCase(target.substr(0, scheme.size()), scheme)) {
      return target.substr(scheme.size());
    }
  }
  return std::nullopt;
}

RequestTarget SplitQuery(std::string_view path_and_query) {
  const std::size_t mark = path_and_query.find('?');
  RequestTarget target;
  target.path = path_and_query.substr(0, mark);
  if (mark != std::string_view::npos) target.query = path_and_query.substr(mark + 1);
  return target;
}

// The byte that the escape at `at`, a '%', stands for.
std::optional<char> EscapedByte(std::string_view text, std::size_t at) {
  if (at + 2 >= text.size()) return std::nullopt;
  const int high = HexDigit(text[at + 1]);
  const int low = HexDigit(text[at + 2]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

bool HasGoodEscapes(std::string_view path) {
  for (std::size_t at = path.find('%'); at != std::string_view::npos; at = path.find('%', at + 3)) {
    const std::optional<char> byte = EscapedByte(path, at);
    if (!byte || *byte == '\0') return false;
  }
  return true;
}

bool IsRegName(std::string_view name) {
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (kRegNameChars[static_cast<unsigned char>(name[i])]) continue;
    if (name[i] != '%' || !EscapedByte(name, i)) return false;
    i += 2;
  }
  return true;
}

bool IsIpv6Address(std::string_view text) {
  char address[INET6_ADDRSTRLEN] = {};
  if (text.size() >= sizeof address || text.find('\0') != std::string_view::npos) return false;
  text.copy(address, text.size());
  in6_addr ignored;
  return ::inet_pton(AF_INET6, address, &ignored) == 1;
}

// Whether it is nothing or a colon with a port, which may be empty.
bool IsPortPart(std::string_view text) {
  if (text.empty()) return true;
  return text.front() == ':' &&
         std::all_of(text.begin() + 1, text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<RequestTarget> SplitAbsolute(std::string_view target) {
  const std::optional<std::string_view> rest = AfterHttpScheme(target);
  if (!rest) return std::nullopt;
  const std::size_t end = rest->find_first_of("/?");
  RequestTarget split;
  if (end != std::string_view::npos) split = SplitQuery(rest->substr(end));
  if (split.path.empty()) split.path = "/";
  split.authority = rest->substr(0, end);
  const bool has_host = !split.authority.empty() && split.authority.front() != ':';
  if (!has_host || !IsHostAndPort(split.authority)) return std::nullopt;
  return split;
}

}  // namespace

std::optional<RequestTarget> SplitTarget(std::string_view method, std::string_view target) {
  if (target.empty() || target.find('#') != std::string_view::npos) return std::nullopt;
  if (method == "CONNECT") return std::nullopt;  // its only form, host:port, has no path
  if (target == "*") {
    return method == "OPTIONS" ? std::optional(RequestTarget{.path = target}) : std::nullopt;
  }
  const auto split =
      target.front() == '/' ? std::optional(SplitQuery(target)) : SplitAbsolute(target);
  return split && HasGoodEscapes(split->path) ? split : std::nullopt;
}

bool IsHostAndPort(std::string_view text) {
  if (!text.starts_with('[')) {
    const std::size_t colon = std::min(text.find(':'), text.size());
    return IsRegName(text.substr(0, colon)) && IsPortPart(text.substr(colon));
  }
  const std::size_t close = text.find(']');
  return close != std::string_view::npos && IsIpv6Address(text.substr(1, close - 1)) &&
         IsPortPart(text.substr(close + 1));
}

std::string PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::optional<char> byte = text[i] == '%' ? EscapedByte(text, i) : std::nullopt;
    decoded += byte.value_or(text[i]);
    if (byte) i += 2;
  }
  return decoded;
}

}  // namespace gunid
