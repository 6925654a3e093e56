#include "http/forwarded_headers.h"

#include <algorithm>

#include "http/field_syntax.h"

namespace gunid {
namespace {

using ParseError = RequestParser::ParseError;

constexpr std::string_view kScriptName = "SCRIPT_NAME";

bool HasUnderscore(const HeaderField& field) {
  return field.name.find('_') != std::string_view::npos;
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

std::optional<ParseError> ReadScheme(const ForwardingRules& rules, RequestHead& head) {
  std::optional<bool> secure;
  for (const HeaderField& field : head.headers) {
    const std::optional<bool> says = SaysSecure(rules, field);
    if (says && secure && *says != *secure) return ParseError{400, "Contradictory scheme headers"};
    if (says) secure = says;
  }
  head.secure = secure.value_or(false);
  return std::nullopt;
}

std::optional<ParseError> ReadScriptName(const ForwardingRules& rules, RequestHead& head) {
  if (!MayForward(rules, kScriptName)) return std::nullopt;
  for (const HeaderField& field : head.headers) {
    if (!EqualsIgnoreCase(field.name, kScriptName)) continue;
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
