// Filters from text to text, and the table of all filters.
#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/format.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace tenon::text::jinja {
namespace {

template <std::string (*function)(std::string_view)>
Value map_text(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters none("this filter", arguments, {});
  return string_value(function(to_text(self, budget)), budget);
}

Value to_string(Budget& budget, const Value& self, const Arguments&) {
  return string_value(to_text(self, budget), budget);
}

Value trim(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("trim", arguments, {"chars"});
  const std::string text = to_text(self, budget);
  const std::string chars = given.optional(0) != nullptr ? given.text(0, "") : "";
  const std::string* which = given.optional(0) != nullptr ? &chars : nullptr;
  budget.search(text.size(), chars.size());
  return string_value(std::string(strip(text, which, true, true)), budget);
}

Value replace(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("replace", arguments, {"old", "new", "count"}, 2);
  const std::int64_t count = given.optional(2) != nullptr ? given.integer(2, -1) : -1;
  return string_value(replace_text(to_text(self, budget), to_text(given[0], budget),
                                   to_text(given[1], budget), count, budget),
                      budget);
}

/// Jinja2's title: a word begins behind white space and ( { [ < - only.
std::string title_words(std::string_view text) {
  std::string out;
  std::string word;
  const auto flush = [&] {
    if (word.empty()) return;
    std::size_t first = 0;
    next_code_point(word, first);
    out += to_upper(std::string_view(word).substr(0, first)) +
           to_lower(std::string_view(word).substr(first));
    word.clear();
  };
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t start = position;
    const char32_t c = next_code_point(text, position);
    if (is_space(c) || (c < 0x80 && std::string_view("-({[<").find(static_cast<char>(c)) !=
                                        std::string_view::npos)) {
      flush();
      out += text.substr(start, position - start);
    } else {
      word += text.substr(start, position - start);
    }
  }
  flush();
  return out;
}

Value center(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("center", arguments, {"width"});
  return string_value(centered(to_text(self, budget), given.integer(0, 80), " ", budget), budget);
}

Value indent(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("indent", arguments, {"width", "first", "blank"});
  if (self.string() == nullptr) bad_input("indent needs a str, found a {}", self.type_name());
  std::string margin;
  if (given.has(0) && given[0].string() != nullptr) {
    margin = given.text(0, "");
  } else {
    const std::int64_t width = std::max<std::int64_t>(given.integer(0, 4), 0);
    budget.allocate(static_cast<std::uint64_t>(width));
    margin.assign(static_cast<std::size_t>(width), ' ');
  }
  const bool blank = given.boolean(2, false);
  // The line end that is added makes an empty text one empty line.
  const std::vector<std::string> lines = split_lines(*self.string() + "\n", false);
  std::string out;
  if (given.boolean(1, false)) out = margin;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    budget.allocate(lines[i].size() + margin.size() + 1);
    if (i > 0) out += '\n';
    if (i > 0 && (blank || !lines[i].empty())) out += margin;
    out += lines[i];
  }
  return string_value(std::move(out), budget);
}

Value truncate(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("truncate", arguments, {"length", "killwords", "end", "leeway"});
  const std::u32string text = to_code_points(to_text(self, budget));
  const std::u32string end = to_code_points(given.text(2, "..."));
  const std::int64_t length = given.integer(0, 255);
  const std::int64_t leeway = given.optional(3) != nullptr ? given.integer(3, 5) : 5;
  const auto end_size = static_cast<std::int64_t>(end.size());
  if (length < end_size || leeway < 0) {
    bad_input("truncate: length {} and leeway {} must be at least {} and 0", length, leeway,
              end_size);
  }
  if (static_cast<std::int64_t>(text.size()) - leeway <= length) return self;
  std::u32string kept = text.substr(0, static_cast<std::size_t>(length - end_size));
  if (!given.boolean(1, false)) kept = kept.substr(0, kept.rfind(U' '));
  return string_value(to_utf8(kept + end), budget);
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string encode_url(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view("_.-~/").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Value word_count(Budget& budget, const Value& self, const Arguments&) {
  const std::string text = to_text(self, budget);
  std::int64_t words = 0;
  bool in_word = false;
  for (std::size_t position = 0; position < text.size();) {
    const bool word = is_word_character(next_code_point(text, position));
    words += word && !in_word ? 1 : 0;
    in_word = word;
  }
  return Value(words);
}

Value format(Budget& budget, const Value& self, const Arguments& arguments) {
  const std::string pattern = to_text(self, budget);
  if (arguments.named.empty()) {
    const Value values = list_value(arguments.positional, budget, List::Kind::tuple);
    return string_value(format_percent(pattern, values, budget), budget);
  }
  if (!arguments.positional.empty()) {
    bad_input("format takes arguments by position or by name, not both");
  }
  DictBuilder values(budget);
  for (const auto& [name, value] : arguments.named) values.set(Value(name), value);
  return string_value(format_percent(pattern, values.finish(), budget), budget);
}

Value to_json_filter(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("tojson", arguments,
                         {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = given.boolean(0, false);
  style.sort_keys = given.boolean(3, false);
  if (const Value* indentation = given.optional(1)) {
    style.indented = true;
    style.item_separator.resize(1);  // no space before a line end
    if (indentation->string() != nullptr) {
      style.indent = *indentation->string();
    } else {
      const std::int64_t width = std::max<std::int64_t>(given.integer(1, 0), 0);
      if (width > 1000) bad_input("tojson: an indent of {} is above 1000", width);
      style.indent.assign(static_cast<std::size_t>(width), ' ');
    }
  }
  if (const Value* separators = given.optional(2)) {
    const auto items = iterate(*separators, budget);
    if (items->items.size() != 2 || items->items[0].string() == nullptr ||
        items->items[1].string() == nullptr) {
      bad_input("tojson: separators must be two strings");
    }
    style.item_separator = *items->items[0].string();
    style.key_separator = *items->items[1].string();
  }
  return string_value(to_json(self, style, budget), budget);
}

constexpr FilterRow kTextFilters[] = {
    {"capitalize", map_text<to_capitalized>},
    {"center", center},
    {"e", map_text<escape_html>},
    {"escape", map_text<escape_html>},
    {"forceescape", map_text<escape_html>},
    {"format", format},
    {"indent", indent},
    {"lower", map_text<to_lower>},
    {"replace", replace},
    {"safe", to_string},  // nothing is escaped: chat templates are rendered without autoescape
    {"string", to_string},
    {"title", map_text<title_words>},
    {"tojson", to_json_filter},
    {"trim", trim},
    {"truncate", truncate},
    {"upper", map_text<to_upper>},
    {"urlencode", map_text<encode_url>},
    {"wordcount", word_count},
};

}  // namespace

std::string replace_text(std::string_view text, std::string_view old, std::string_view with,
                         std::int64_t count, Budget& budget) {
  budget.search(text.size(), old.size());
  std::string out;
  std::size_t position = 0;
  for (std::int64_t done = 0; count < 0 || done < count; ++done) {
    std::size_t found = text.find(old, position);
    if (old.empty()) {
      // Python puts the replacement before every code point and at the end.
      found = position;
      if (done > 0) {
        if (position == text.size()) break;
        next_code_point(text, found);
      }
    }
    if (found == std::string_view::npos) break;
    budget.allocate(found - position + with.size());
    out += text.substr(position, found - position);
    out += with;
    position = found + old.size();
  }
  budget.allocate(text.size() - position);
  out += text.substr(position);
  return out;
}

std::string centered(std::string_view text, std::int64_t width, std::string_view fill,
                     Budget& budget) {
  const std::int64_t space = width - static_cast<std::int64_t>(count_code_points(text));
  if (space <= 0) return std::string(text);
  budget.allocate(static_cast<std::uint64_t>(space) * fill.size());
  // Python gives the odd column to the left when the width is odd too.
  const std::int64_t left = space / 2 + (space & width & 1);
  std::string out;
  for (std::int64_t i = 0; i < left; ++i) out += fill;
  out += text;
  for (std::int64_t i = left; i < space; ++i) out += fill;
  return out;
}

std::span<const FilterRow> text_filters() { return kTextFilters; }

Native find_filter(std::string_view name) {
  for (const auto rows : {text_filters(), number_filters(), sequence_filters()}) {
    const auto row =
        std::find_if(rows.begin(), rows.end(), [&](const FilterRow& r) { return r.name == name; });
    if (row != rows.end()) return row->native;
  }
  return nullptr;
}

}  // namespace tenon::text::jinja
