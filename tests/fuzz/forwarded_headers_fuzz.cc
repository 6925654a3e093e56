// Fuzzes ApplyForwarding against what its header promises, computed field by field.
//
// Input: a byte of options (two bits header_map, trusted peer, forwarder_headers "*"), and field
// lines.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "http/field_syntax.h"
#include "http/forwarded_headers.h"
#include "refusal.h"

namespace gunid {
namespace {

struct Options {
  ForwardingRules rules;
  bool trusted = false;
};

Options OptionsOf(unsigned bits) {
  constexpr HeaderMap kMaps[] = {HeaderMap::kDrop, HeaderMap::kRefuse, HeaderMap::kDangerous};
  Options options;
  options.rules.header_map = kMaps[bits % 4 % 3];
  options.trusted = (bits & 4) != 0;
  if ((bits & 8) != 0) options.rules.forwarder_headers = {"*"};
  return options;
}

// As views into `text`; a parser would have refused what is no field here.
RequestHead ReadFields(std::string_view text) {
  RequestHead head;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) continue;
    std::string_view value = line.substr(colon + 1);
    if (value.ends_with('\r')) value.remove_suffix(1);
    head.headers.push_back({line.substr(0, colon), TrimWhitespace(value)});
  }
  return head;
}

bool IsListed(const std::vector<std::string>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [name](const std::string& listed) {
    return listed == "*" || EqualsIgnoreCase(listed, name);
  });
}

// Whether the header map lets the field pass.
bool Passes(const Options& options, const HeaderField& field) {
  if (field.name.find('_') == std::string_view::npos) return true;
  if (options.rules.header_map == HeaderMap::kDangerous) return true;
  return options.trusted && IsListed(options.rules.forwarder_headers, field.name);
}

// What the fields say, of those that count.
struct Claims {
  bool https = false;
  bool http = false;
  std::vector<std::string_view> script_names;
  bool unwanted = false;
};

Claims ClaimsOf(const Options& options, const RequestHead& head) {
  Claims claims;
  for (const HeaderField& field : head.headers) {
    claims.unwanted |= !Passes(options, field);
    if (!options.trusted) continue;
    for (const auto& [name, value] : options.rules.secure_scheme_headers) {
      if (EqualsIgnoreCase(name, field.name))
        (field.value == value ? claims.https : claims.http) = true;
    }
    if (EqualsIgnoreCase(field.name, "SCRIPT_NAME")) claims.script_names.push_back(field.value);
  }
  return claims;
}

bool SameFields(const std::vector<HeaderField>& a, const std::vector<HeaderField>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const HeaderField& x, const HeaderField& y) {
                      return x.name.data() == y.name.data() && x.name.size() == y.name.size() &&
                             x.value.data() == y.value.data() && x.value.size() == y.value.size();
                    });
}

void CheckAccepted(const Options& options, const RequestHead& before, const RequestHead& after) {
  const Claims claims = ClaimsOf(options, before);
  std::vector<HeaderField> passed;
  std::copy_if(before.headers.begin(), before.headers.end(), std::back_inserter(passed),
               [&](const HeaderField& field) { return Passes(options, field); });
  RequireContract(SameFields(after.headers, passed), "the fields that may pass, in their order");
  RequireContract(after.secure == claims.https, "https is what a trusted peer says it is");
  const bool mounted = !claims.script_names.empty();
  RequireContract(after.script_name.has_value() == mounted, "only a trusted peer mounts");
  RequireContract(!mounted || after.script_name->data() == claims.script_names[0].data(),
                  "the mount is a view into the input");
}

}  // namespace
}  // namespace gunid

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gunid;
  if (size == 0) return 0;
  const Options options = OptionsOf(data[0]);
  const std::vector<char> text(data + 1, data + size);
  const RequestHead before = ReadFields({text.data(), text.size()});
  RequestHead after = before;
  const auto error = ApplyForwarding(options.rules, options.trusted, after);

  const Claims claims = ClaimsOf(options, before);
  const bool refuse = options.rules.header_map == HeaderMap::kRefuse && claims.unwanted;
  const bool contradiction = claims.https && claims.http;
  RequireContract(error.has_value() == (refuse || contradiction || claims.script_names.size() > 1),
                  "what is contradictory or unwanted is refused, and nothing else");
  if (!error) {
    CheckAccepted(options, before, after);
    return 0;
  }
  RequireContract(error->status == 400, "a refusal is 400");
  RequireCleanReason(error->reason);
  return 0;
}
