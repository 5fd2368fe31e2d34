// The methods of strings, lists, mappings and loops.
#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/format.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/split.h"
#include "text/jinja/unicode.h"

namespace tenon::text::jinja {
namespace {

using Kind = List::Kind;

template <std::string (*function)(std::string_view)>
Value map_text(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters none("this method", arguments, {});
  return string_value(function(*self.string()), budget);
}

template <bool (*predicate)(char32_t)>
Value all_of(Budget& budget, const Value& self, const Arguments&) {
  const std::u32string points = to_code_points(*self.string());
  budget.step(points.size() / 16);
  return Value(!points.empty() && std::all_of(points.begin(), points.end(), predicate));
}

template <LetterCase letter_case>
Value in_case(Budget& budget, const Value& self, const Arguments&) {
  budget.step(self.string()->size() / 16);
  return Value(has_case(*self.string(), letter_case));
}

template <bool left, bool right>
Value strip_method(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("strip", arguments, {"chars"});
  const std::string chars = given.optional(0) != nullptr ? given.text(0, "") : "";
  const std::string* which = given.optional(0) != nullptr ? &chars : nullptr;
  budget.search(self.string()->size(), chars.size());
  return string_value(std::string(strip(*self.string(), which, left, right)), budget);
}

Value text_list(const std::vector<std::string_view>& parts, Budget& budget,
                Kind kind = Kind::list) {
  std::vector<Value> items;
  for (const std::string_view part : parts)
    items.push_back(string_value(std::string(part), budget));
  return list_value(std::move(items), budget, kind);
}

template <bool from_right>
Value split(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("split", arguments, {"sep", "maxsplit"});
  const std::int64_t limit = given.integer(1, -1);
  const std::string& text = *self.string();
  budget.step(text.size() / 16);
  if (given.optional(0) != nullptr) {
    const std::string separator = given.text(0, "");
    if (separator.empty()) bad_input("split: the separator is empty");
    budget.search(text.size(), separator.size());
    return text_list(split_at(text, separator, limit, from_right ? From::right : From::left),
                     budget);
  }
  if (from_right && limit >= 0) {
    // One pass over the text a part.
    budget.step(static_cast<std::uint64_t>(limit) * (text.size() / 16));
    return text_list(split_space_from_right(text, limit), budget);
  }
  return text_list(split_space(text, limit), budget);
}

Value split_lines_method(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("splitlines", arguments, {"keepends"});
  std::vector<Value> lines;
  for (std::string& line : split_lines(*self.string(), given.boolean(0, false))) {
    lines.push_back(string_value(std::move(line), budget));
  }
  return list_value(std::move(lines), budget);
}

template <bool from_right>
Value partition(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("partition", arguments, {"sep"}, 1);
  const std::string separator = given.text(0, "");
  if (separator.empty()) bad_input("partition: the separator is empty");
  const std::string_view text = *self.string();
  budget.search(text.size(), separator.size());
  const std::size_t found = from_right ? text.rfind(separator) : text.find(separator);
  if (found == std::string_view::npos) {
    if (from_right) return text_list({"", "", text}, budget, Kind::tuple);
    return text_list({text, "", ""}, budget, Kind::tuple);
  }
  return text_list({text.substr(0, found), separator, text.substr(found + separator.size())},
                   budget, Kind::tuple);
}

/// The code points [start, end) of the text that the optional arguments 1 and 2 name.
std::u32string window(const Value& self, const Parameters& given, std::int64_t& start) {
  std::u32string points = to_code_points(*self.string());
  const auto count = static_cast<std::int64_t>(points.size());
  const auto clip = [&](std::int64_t value) {
    return std::clamp<std::int64_t>(
        value < 0 ? std::max<std::int64_t>(value, -count) + count : value, 0, count + 1);
  };
  start = given.optional(1) != nullptr ? clip(given.integer(1, 0)) : 0;
  const std::int64_t end =
      std::min(count, given.optional(2) != nullptr ? clip(given.integer(2, count)) : count);
  if (start > end) return U"\x110000";  // beyond Unicode: nothing is found in it, not even ""
  return points.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start));
}

template <bool at_end>
Value has_affix(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given(at_end ? "endswith" : "startswith", arguments, {"affix", "start", "end"},
                         1);
  budget.step(self.string()->size() / 16);
  std::int64_t start = 0;
  const bool whole = !given.has(1) && !given.has(2);
  const std::string text = whole ? *self.string() : to_utf8(window(self, given, start));
  const auto matches = [&](const Value& affix) {
    if (affix.string() == nullptr) {
      bad_input("startswith and endswith need a str or a tuple of str, found a {}",
                affix.type_name());
    }
    return at_end ? text.ends_with(*affix.string()) : text.starts_with(*affix.string());
  };
  const List* several = given[0].list();
  if (several == nullptr || several->kind != Kind::tuple) return Value(matches(given[0]));
  return Value(std::any_of(several->items.begin(), several->items.end(), matches));
}

template <bool from_right, bool must_exist>
Value find_text(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("find", arguments, {"sub", "start", "end"}, 1);
  budget.step(self.string()->size() / 16);
  std::int64_t start = 0;
  const std::u32string text = window(self, given, start);
  const std::u32string wanted = to_code_points(given.text(0, ""));
  budget.search(self.string()->size(), 4 * wanted.size());
  const bool impossible = !text.empty() && text[0] == 0x110000;
  const std::size_t found = impossible   ? std::u32string::npos
                            : from_right ? text.rfind(wanted)
                                         : text.find(wanted);
  if (found != std::u32string::npos) return Value(static_cast<std::int64_t>(found) + start);
  if (must_exist) bad_input("index: the text is not in the string");
  return Value(std::int64_t{-1});
}

Value count_text(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("count", arguments, {"sub"}, 1);
  const std::string wanted = given.text(0, "");
  const std::string& text = *self.string();
  budget.search(text.size(), wanted.size());
  if (wanted.empty()) return Value(static_cast<std::int64_t>(count_code_points(text)) + 1);
  std::int64_t count = 0;
  for (std::size_t at = text.find(wanted); at != std::string::npos;
       at = text.find(wanted, at + wanted.size())) {
    ++count;
  }
  return Value(count);
}

Value replace_method(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("replace", arguments, {"old", "new", "count"}, 2);
  return string_value(replace_text(*self.string(), given.text(0, ""), given.text(1, ""),
                                   given.integer(2, -1), budget),
                      budget);
}

Value join_method(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("join", arguments, {"iterable"}, 1);
  std::string text;
  bool is_first = true;
  const auto item_list = iterate(given[0], budget);
  for (const Value& item : item_list->items) {
    if (item.string() == nullptr) bad_input("join: an item is a {}, not a str", item.type_name());
    budget.allocate(self.string()->size() + item.string()->size());
    if (!is_first) text += *self.string();
    is_first = false;
    text += *item.string();
  }
  return string_value(std::move(text), budget);
}

Value format_method(Budget& budget, const Value& self, const Arguments& arguments) {
  return string_value(format_braces(*self.string(), arguments, budget), budget);
}

template <bool at_end>
Value remove_affix(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("removeprefix", arguments, {"affix"}, 1);
  const std::string affix = given.text(0, "");
  std::string_view text = *self.string();
  if (at_end && text.ends_with(affix)) text.remove_suffix(affix.size());
  if (!at_end && text.starts_with(affix)) text.remove_prefix(affix.size());
  return string_value(std::string(text), budget);
}

enum class Side { left, center, right };

template <Side side>
Value justify(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("ljust", arguments, {"width", "fillchar"}, 1);
  const std::string fill = given.text(1, " ");
  if (count_code_points(fill) != 1) bad_input("the fill character must be one character");
  const std::string& text = *self.string();
  const std::int64_t width = given.integer(0, 0);
  if (side == Side::center) return string_value(centered(text, width, fill, budget), budget);
  const std::int64_t space = width - static_cast<std::int64_t>(count_code_points(text));
  if (space <= 0) return self;
  budget.allocate(static_cast<std::uint64_t>(space) * fill.size());
  std::string padding;
  for (std::int64_t i = 0; i < space; ++i) padding += fill;
  return string_value(side == Side::left ? text + padding : padding + text, budget);
}

Value zero_fill(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("zfill", arguments, {"width"}, 1);
  std::string text = *self.string();
  const std::int64_t space =
      given.integer(0, 0) - static_cast<std::int64_t>(count_code_points(text));
  if (space <= 0) return self;
  budget.allocate(static_cast<std::uint64_t>(space));
  const bool is_signed = text.starts_with('-') || text.starts_with('+');
  text.insert(is_signed ? 1 : 0, static_cast<std::size_t>(space), '0');
  return string_value(std::move(text), budget);
}

Value list_index(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("index", arguments, {"value"}, 1);
  const auto& items = self.list()->items;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (equal(items[i], given[0], budget)) return Value(static_cast<std::int64_t>(i));
  }
  bad_input("index: the value is not in the list");
}

Value list_count(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("count", arguments, {"value"}, 1);
  const auto& items = self.list()->items;
  return Value(
      static_cast<std::int64_t>(std::count_if(items.begin(), items.end(), [&](const Value& item) {
        return equal(item, given[0], budget);
      })));
}

Value copy(Budget&, const Value& self, const Arguments&) { return self; }

Value dict_keys(Budget& budget, const Value& self, const Arguments&) {
  return list_value(iterate(self, budget)->items, budget);
}
Value dict_values(Budget& budget, const Value& self, const Arguments&) {
  std::vector<Value> values;
  for (const auto& [key, value] : self.dict()->items) values.push_back(value);
  return list_value(std::move(values), budget);
}
Value dict_items(Budget& budget, const Value& self, const Arguments&) {
  std::vector<Value> pairs;
  for (const auto& [key, value] : self.dict()->items) {
    pairs.push_back(list_value({key, value}, budget, Kind::tuple));
  }
  return list_value(std::move(pairs), budget);
}
Value dict_get(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("get", arguments, {"key", "default"}, 1);
  if (const Value* found = find(*self.dict(), given[0], budget)) return *found;
  return given.has(1) ? given[1] : Value();
}

Value loop_cycle(Budget&, const Value& self, const Arguments& arguments) {
  if (arguments.positional.empty()) bad_input("loop.cycle needs values");
  return arguments.positional[self.loop()->index % arguments.positional.size()];
}

struct Row {
  std::string_view name;
  Native native;
};

constexpr Row kStringMethods[] = {
    {"capitalize", map_text<to_capitalized>},
    {"center", justify<Side::center>},
    {"count", count_text},
    {"endswith", has_affix<true>},
    {"find", find_text<false, false>},
    {"format", format_method},
    {"index", find_text<false, true>},
    {"isalnum", all_of<is_alphanumeric>},
    {"isalpha", all_of<is_letter>},
    {"isdecimal", all_of<is_decimal>},
    {"isdigit", all_of<is_digit>},
    {"islower", in_case<LetterCase::lower>},
    {"isnumeric", all_of<is_numeric>},
    {"isspace", all_of<is_space>},
    {"isupper", in_case<LetterCase::upper>},
    {"join", join_method},
    {"ljust", justify<Side::left>},
    {"lower", map_text<to_lower>},
    {"lstrip", strip_method<true, false>},
    {"partition", partition<false>},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"replace", replace_method},
    {"rfind", find_text<true, false>},
    {"rindex", find_text<true, true>},
    {"rjust", justify<Side::right>},
    {"rpartition", partition<true>},
    {"rsplit", split<true>},
    {"rstrip", strip_method<false, true>},
    {"split", split<false>},
    {"splitlines", split_lines_method},
    {"startswith", has_affix<false>},
    {"strip", strip_method<true, true>},
    {"title", map_text<to_title>},
    {"upper", map_text<to_upper>},
    {"zfill", zero_fill},
};
constexpr Row kListMethods[] = {{"copy", copy}, {"count", list_count}, {"index", list_index}};
constexpr Row kDictMethods[] = {{"copy", copy},
                                {"get", dict_get},
                                {"items", dict_items},
                                {"keys", dict_keys},
                                {"values", dict_values}};
constexpr Row kLoopMethods[] = {{"cycle", loop_cycle}};

template <std::size_t size>
Native find_row(const Row (&rows)[size], std::string_view name) {
  const auto* row = std::find_if(rows, rows + size, [&](const Row& r) { return r.name == name; });
  return row == rows + size ? nullptr : row->native;
}

}  // namespace

Native find_method(const Value& self, std::string_view name) {
  if (self.string() != nullptr) return find_row(kStringMethods, name);
  if (self.dict() != nullptr) return find_row(kDictMethods, name);
  if (self.loop() != nullptr) return find_row(kLoopMethods, name);
  const List* list = self.list();
  if (list != nullptr && list->kind != Kind::generator) return find_row(kListMethods, name);
  return nullptr;
}

bool is_mutating_method(const Value& self, std::string_view name) {
  constexpr std::string_view kList[] = {"append", "clear",  "extend",  "insert",
                                        "pop",    "remove", "reverse", "sort"};
  constexpr std::string_view kDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  const auto any = [&](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  const List* list = self.list();
  return (list != nullptr && list->kind == Kind::list && any(kList)) ||
         (self.dict() != nullptr && any(kDict));
}

}  // namespace tenon::text::jinja
