// Values as text: str(), repr() and JSON.
#include "text/jinja/print.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/callable.h"
#include "text/jinja/operators.h"
#include "text/jinja/unicode.h"

namespace tenon::text::jinja {
namespace {

void append_string_repr(std::string& out, std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  out += quote;
  for (std::size_t position = 0; position < text.size();) {
    const char32_t c = next_code_point(text, position);
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_printable(c)) {
      append_code_point(out, c);
    } else if (c < 0x100) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else if (c < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<unsigned>(c));
    }
  }
  out += quote;
}

void append_repr(std::string& out, const Value& value, Budget& budget) {
  budget.step();
  const std::size_t start = out.size();
  if (const std::string* text = value.string()) {
    append_string_repr(out, *text);
  } else if (const List* list = value.list()) {
    const bool tuple = list->kind == List::Kind::tuple;
    if (list->kind == List::Kind::generator) {
      bad_input("a generator cannot be printed; put |list or |join behind the filter");
    }
    out += tuple ? '(' : '[';
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      if (i > 0) out += ", ";
      append_repr(out, list->items[i], budget);
    }
    if (tuple && list->items.size() == 1) out += ',';
    out += tuple ? ')' : ']';
  } else if (const Dict* dict = value.dict()) {
    out += '{';
    for (std::size_t i = 0; i < dict->items.size(); ++i) {
      if (i > 0) out += ", ";
      append_repr(out, dict->items[i].first, budget);
      out += ": ";
      append_repr(out, dict->items[i].second, budget);
    }
    out += '}';
  } else if (value.is_undefined()) {
    out += "Undefined";
  } else if (value.is_none()) {
    out += "None";
  } else if (const bool* flag = value.boolean()) {
    out += *flag ? "True" : "False";
  } else if (const std::int64_t* number = value.integer()) {
    out += std::to_string(*number);
  } else if (const double* real = value.real()) {
    out += float_text(*real);
  } else {
    bad_input("a {} cannot be printed", value.type_name());
  }
  if (value.list() == nullptr && value.dict() == nullptr) budget.allocate(out.size() - start);
}

void append_json_string(std::string& out, std::string_view text, bool ensure_ascii) {
  out += '"';
  for (std::size_t position = 0; position < text.size();) {
    const char32_t c = next_code_point(text, position);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\b':
        out += "\\b";
        break;
      default:
        if (c < 0x20 || (ensure_ascii && c > 0x7E && c < 0x10000)) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else if (ensure_ascii && c >= 0x10000) {
          const unsigned rest = static_cast<unsigned>(c) - 0x10000;
          out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
        } else {
          append_code_point(out, c);
        }
    }
  }
  out += '"';
}

std::string json_key(const Value& key, Budget& budget) {
  if (const std::string* text = key.string()) return *text;
  if (const bool* flag = key.boolean()) return *flag ? "true" : "false";
  if (key.is_none()) return "null";
  if (key.integer() != nullptr || key.real() != nullptr) return to_text(key, budget);
  bad_input("a {} cannot be a key of JSON", key.type_name());
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Budget& budget) : style_(style), budget_(budget) {}

  void write(const Value& value, int level) {
    budget_.step();
    const std::size_t start = out.size();
    if (const List* list = value.list(); list != nullptr && list->kind != List::Kind::generator) {
      return write_list(*list, level);
    }
    if (const Dict* dict = value.dict()) return write_dict(*dict, level);
    if (const std::string* text = value.string()) {
      append_json_string(out, *text, style_.ensure_ascii);
    } else if (value.is_none()) {
      out += "null";
    } else if (const bool* flag = value.boolean()) {
      out += *flag ? "true" : "false";
    } else if (const std::int64_t* number = value.integer()) {
      out += std::to_string(*number);
    } else if (const double* real = value.real()) {
      out += std::isnan(*real)   ? "NaN"
             : std::isinf(*real) ? (*real > 0 ? "Infinity" : "-Infinity")
                                 : float_text(*real);
    } else {
      bad_input("tojson: a {} cannot be written as JSON", value.type_name());
    }
    budget_.allocate(out.size() - start);
  }

  std::string out;

 private:
  void line(int level) {
    if (!style_.indented) return;
    budget_.allocate(style_.indent.size() * static_cast<std::size_t>(level));
    out += '\n';
    for (int i = 0; i < level; ++i) out += style_.indent;
  }

  void write_list(const List& list, int level) {
    if (list.items.empty()) {
      out += "[]";
      return;
    }
    out += '[';
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out += style_.item_separator;
      line(level + 1);
      write(list.items[i], level + 1);
    }
    line(level);
    out += ']';
  }

  void write_dict(const Dict& dict, int level) {
    if (dict.items.empty()) {
      out += "{}";
      return;
    }
    std::vector<std::pair<Value, Value>> items = dict.items;
    if (style_.sort_keys) {
      std::stable_sort(items.begin(), items.end(), [&](const auto& a, const auto& b) {
        return less(a.first, b.first, budget_);
      });
    }
    out += '{';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += style_.item_separator;
      line(level + 1);
      append_json_string(out, json_key(items[i].first, budget_), style_.ensure_ascii);
      out += style_.key_separator;
      write(items[i].second, level + 1);
    }
    line(level);
    out += '}';
  }

  const JsonStyle& style_;
  Budget& budget_;
};

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  std::string text(buffer, end.ptr);
  const std::size_t mark = text.find('e');
  const int exponent = std::stoi(text.substr(mark + 1));
  // Python writes an exponent outside 1e-4 to 1e16 only.
  if (exponent < -4 || exponent >= 16) return text;
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  std::string plain(buffer, fixed.ptr);
  if (plain.find('.') == std::string::npos) plain += ".0";
  return plain;
}

std::string to_text(const Value& value, Budget& budget) {
  if (const std::string* text = value.string()) {
    budget.allocate(text->size());
    return *text;
  }
  if (value.is_undefined()) return {};
  std::string out;
  append_repr(out, value, budget);
  return out;
}

std::string to_repr(const Value& value, Budget& budget) {
  std::string out;
  append_repr(out, value, budget);
  return out;
}

std::string to_json(const Value& value, const JsonStyle& style, Budget& budget) {
  JsonWriter writer(style, budget);
  writer.write(value, 0);
  return std::move(writer.out);
}

}  // namespace tenon::text::jinja
