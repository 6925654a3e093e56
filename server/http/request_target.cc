#include "http/request_target.h"

#include "http/field_syntax.h"

namespace gunid {
namespace {

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

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<RequestTarget> SplitTarget(std::string_view method, std::string_view target) {
  if (target.empty() || target.find('#') != std::string_view::npos) return std::nullopt;
  if (method == "CONNECT") return std::nullopt;  // its only form, host:port, has no path
  if (target.front() == '/') return SplitQuery(target);
  if (target == "*") {
    return method == "OPTIONS" ? std::optional(RequestTarget{target, {}}) : std::nullopt;
  }

  const std::optional<std::string_view> rest = AfterHttpScheme(target);
  if (!rest) return std::nullopt;
  const std::size_t authority = rest->find_first_of("/?");
  if (authority == 0 || rest->empty()) return std::nullopt;
  RequestTarget split;
  if (authority != std::string_view::npos) split = SplitQuery(rest->substr(authority));
  if (split.path.empty()) split.path = "/";
  return split;
}

std::string PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        decoded += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    decoded += text[i];
  }
  return decoded;
}

}  // namespace gunid
