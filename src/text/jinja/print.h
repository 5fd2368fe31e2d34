// Values as text: str(), repr() and JSON, byte for byte as Python writes them.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace tenon::text::jinja {

/// repr of a float: the shortest digits that read back as the same number.
std::string float_text(double value);

/// str(value): what an output statement prints.
std::string to_text(const Value& value, Budget& budget);
/// repr(value): strings quoted, as inside a printed list.
std::string to_repr(const Value& value, Budget& budget);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool indented = false;
  std::string indent;  // of one level, when indented
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

/// json.dumps(value)
std::string to_json(const Value& value, const JsonStyle& style, Budget& budget);

}  // namespace tenon::text::jinja
