#include "http/request_head.h"

#include "http/field_syntax.h"

namespace gunid {

std::optional<std::string_view> RequestHead::Find(std::string_view name) const {
  for (const HeaderField& field : headers) {
    if (EqualsIgnoreCase(field.name, name)) return field.value;
  }
  return std::nullopt;
}

}  // namespace gunid
