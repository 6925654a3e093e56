#include "config/access_log_format.h"

#include <algorithm>
#include <iterator>

namespace gunid {
namespace {

using Atom = AccessLogAtom;

struct NamedAtom {
  char name;
  Atom atom;
  bool number = false;  // in Gunicorn: "%(D)d" is allowed as well
};

constexpr NamedAtom kAtoms[] = {
    {'h', Atom::kClient},
    {'u', Atom::kUser},
    {'t', Atom::kTime},
    {'r', Atom::kRequestLine},
    {'m', Atom::kMethod},
    {'U', Atom::kPath},
    {'q', Atom::kQuery},
    {'H', Atom::kProtocol},
    {'s', Atom::kStatus},
    {'b', Atom::kBodyBytes},
    {'B', Atom::kBodyBytes, true},
    {'f', Atom::kReferer},
    {'a', Atom::kUserAgent},
    {'T', Atom::kSeconds, true},
    {'M', Atom::kMilliseconds, true},
    {'D', Atom::kMicroseconds, true},
    {'L', Atom::kDecimal},
    {'p', Atom::kProcess},
};

class FormatParser {
 public:
  explicit FormatParser(std::string_view text) : rest_(text) {}

  Result<AccessLogFormat> Parse() {
    while (!rest_.empty()) {
      const std::size_t percent = std::min(rest_.find('%'), rest_.size());
      AddLiteral(Take(percent));
      if (rest_.empty()) break;
      if (rest_.starts_with("%%")) {
        Take(1);
        AddLiteral(Take(1));
      } else if (!TakeAtom()) {
        return Error{"expected %(ATOM)s or %% at '" + std::string(rest_) + "'"};
      }
    }
    return std::move(format_);
  }

 private:
  std::string_view Take(std::size_t size) {
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  void AddLiteral(std::string_view text) {
    if (text.empty()) return;
    if (format_.pieces.empty() || format_.pieces.back().atom != Atom::kLiteral) {
      format_.pieces.emplace_back();
    }
    format_.pieces.back().text += text;
  }

  // False, and nothing is taken, if it is none.
  bool TakeAtom() {
    const std::size_t end = rest_.find(')');
    if (!rest_.starts_with("%(") || end == std::string_view::npos || end + 1 == rest_.size()) {
      return false;
    }
    const std::string_view name = rest_.substr(2, end - 2);
    const char conversion = rest_[end + 1];
    const auto* const named = std::ranges::find_if(
        kAtoms, [name](const NamedAtom& each) { return name == std::string_view(&each.name, 1); });
    const bool known = named != std::end(kAtoms);
    if (conversion != 's' && !(conversion == 'd' && known && named->number)) return false;
    if (known) {
      format_.pieces.push_back({.atom = named->atom});
    } else if (!AddNamed(name)) {
      AddLiteral("-");
    }
    Take(end + 2);
    return true;
  }

  // False if it is not of the kind "{NAME}i".
  bool AddNamed(std::string_view atom) {
    const std::size_t brace = atom.find('}');
    if (!atom.starts_with('{') || brace + 2 != atom.size()) return false;
    const std::string name(atom.substr(1, brace - 1));
    switch (atom.back()) {
      case 'i':
        format_.pieces.push_back({.atom = Atom::kRequestField, .text = name});
        return true;
      case 'o':
        AddKept(Atom::kResponseField, name, format_.response_fields);
        return true;
      case 'e':
        AddKept(Atom::kVariable, name, format_.variables);
        return true;
      default:
        return false;
    }
  }

  void AddKept(Atom atom, const std::string& name, std::vector<std::string>& names) {
    format_.pieces.push_back({.atom = atom, .index = names.size()});
    names.push_back(name);
  }

  std::string_view rest_;
  AccessLogFormat format_;
};

}  // namespace

Result<AccessLogFormat> ParseAccessLogFormat(std::string_view text) {
  return FormatParser(text).Parse();
}

}  // namespace gunid
