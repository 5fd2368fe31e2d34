// Filters over sequences and mappings.
#include <algorithm>
#include <unordered_set>

#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace tenon::text::jinja {
namespace {

using Kind = List::Kind;

/// item["a"]["b"][0] for the path "a.b.0"; the item itself when `path` is null.
Value follow(Value item, const Value* path, const Value* fallback, Budget& budget) {
  if (path == nullptr) return item;
  if (path->string() == nullptr) return get_item(item, *path, budget);
  std::string_view rest = *path->string();
  while (true) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view part = rest.substr(0, dot);
    const bool number = !part.empty() && part.size() < 10 &&
                        part.find_first_not_of("0123456789") == std::string_view::npos;
    const Value key =
        number ? Value(std::int64_t{std::stoi(std::string(part))}) : Value(std::string(part));
    item = get_item(item, key, budget);
    if (item.is_undefined() && fallback != nullptr) item = *fallback;
    if (dot == rest.size()) return item;
    rest.remove_prefix(dot + 1);
  }
}

Value ignore_case(Value value) {
  return value.string() != nullptr ? Value(to_lower(*value.string())) : value;
}

/// What a filter compares of an item.
Value sort_key(const Value& item, const Value* path, bool case_sensitive, Budget& budget) {
  Value key = follow(item, path, nullptr, budget);
  return case_sensitive ? key : ignore_case(std::move(key));
}

Value default_value(Budget&, const Value& self, const Arguments& arguments) {
  const Parameters given("default", arguments, {"default_value", "boolean"});
  const bool replaced = self.is_undefined() || (given.boolean(1, false) && !truth(self));
  if (!replaced) return self;
  return given.has(0) ? given[0] : Value(std::string());
}

Value length_of(Budget&, const Value& self, const Arguments&) { return Value(length(self)); }

Value to_list(Budget& budget, const Value& self, const Arguments&) {
  return list_value(iterate(self, budget)->items, budget);
}

Value first(Budget& budget, const Value& self, const Arguments&) {
  const auto items = iterate(self, budget);
  return items->items.empty() ? Value::undefined("No first item, sequence was empty.")
                              : items->items.front();
}

Value last(Budget& budget, const Value& self, const Arguments&) {
  if (self.list() != nullptr && self.list()->kind == Kind::generator) {
    bad_input("last: a generator has no last item; put |list before it");
  }
  const auto items = iterate(self, budget);
  return items->items.empty() ? Value::undefined("No last item, sequence was empty.")
                              : items->items.back();
}

Value reverse(Budget& budget, const Value& self, const Arguments&) {
  if (const std::string* text = self.string()) {
    std::u32string points = to_code_points(*text);
    std::reverse(points.begin(), points.end());
    return string_value(to_utf8(points), budget);
  }
  std::vector<Value> items = iterate(self, budget)->items;
  std::reverse(items.begin(), items.end());
  return list_value(std::move(items), budget, Kind::generator);
}

Value join(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("join", arguments, {"d", "attribute"});
  const std::string separator = given.has(0) ? to_text(given[0], budget) : "";
  std::string text;
  bool is_first = true;
  const auto item_list = iterate(self, budget);
  for (const Value& item : item_list->items) {
    if (!is_first) text += separator;
    is_first = false;
    budget.allocate(separator.size());
    text += to_text(follow(item, given.optional(1), nullptr, budget), budget);
  }
  return string_value(std::move(text), budget);
}

Value items_of(Budget& budget, const Value& self, const Arguments&) {
  std::vector<Value> pairs;
  if (self.dict() == nullptr && !self.is_undefined()) {
    bad_input("items needs a mapping, found a {}", self.type_name());
  }
  if (self.dict() != nullptr) {
    for (const auto& [key, value] : self.dict()->items) {
      pairs.push_back(list_value({key, value}, budget, Kind::tuple));
    }
  }
  return list_value(std::move(pairs), budget, Kind::generator);
}

/// Stable, by keys that are computed once.
Value sorted(const std::vector<Value>& items, std::vector<Value> keys, bool descending,
             Budget& budget) {
  std::vector<std::size_t> order(items.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return descending ? less(keys[b], keys[a], budget) : less(keys[a], keys[b], budget);
  });
  std::vector<Value> result;
  for (const std::size_t i : order) result.push_back(items[i]);
  return list_value(std::move(result), budget);
}

Value sort(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<Value> paths(1);
  if (given.optional(2) != nullptr && given[2].string() != nullptr) {
    paths.clear();
    std::string_view rest = *given[2].string();
    for (std::size_t comma = 0; comma != std::string_view::npos;) {
      comma = rest.find(',');
      paths.emplace_back(std::string(rest.substr(0, comma)));
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
  } else if (given.optional(2) != nullptr) {
    paths[0] = given[2];
  }
  const auto items = iterate(self, budget);
  std::vector<Value> keys;
  for (const Value& item : items->items) {
    std::vector<Value> parts;
    for (const Value& path : paths) {
      parts.push_back(
          sort_key(item, path.is_none() ? nullptr : &path, given.boolean(1, false), budget));
    }
    keys.push_back(list_value(std::move(parts), budget));
  }
  return sorted(items->items, std::move(keys), given.boolean(0, false), budget);
}

Value dict_sort(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string by = given.text(1, "key");
  if (by != "key" && by != "value") {
    bad_input("dictsort: by is {}, expected key or value", by.substr(0, 60));
  }
  if (self.dict() == nullptr) bad_input("dictsort needs a mapping, found a {}", self.type_name());
  std::vector<Value> pairs;
  std::vector<Value> keys;
  for (const auto& [key, value] : self.dict()->items) {
    pairs.push_back(list_value({key, value}, budget, Kind::tuple));
    const Value& chosen = by == "key" ? key : value;
    keys.push_back(given.boolean(0, false) ? chosen : ignore_case(chosen));
  }
  return sorted(pairs, std::move(keys), given.boolean(2, false), budget);
}

Value unique(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("unique", arguments, {"case_sensitive", "attribute"});
  std::unordered_set<std::string> seen;
  std::vector<Value> kept;
  const auto item_list = iterate(self, budget);
  for (const Value& item : item_list->items) {
    std::string key =
        key_of(sort_key(item, given.optional(1), given.boolean(0, false), budget), budget);
    budget.allocate(key.size());
    if (seen.insert(std::move(key)).second) kept.push_back(item);
  }
  return list_value(std::move(kept), budget, Kind::generator);
}

Value extreme(const char* name, bool largest, Budget& budget, const Value& self,
              const Arguments& arguments) {
  const Parameters given(name, arguments, {"case_sensitive", "attribute"});
  const auto items = iterate(self, budget);
  if (items->items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  const auto key = [&](const Value& item) {
    return sort_key(item, given.optional(1), given.boolean(0, false), budget);
  };
  const Value* best = &items->items[0];
  Value best_key = key(*best);
  for (const Value& item : items->items) {
    Value candidate = key(item);
    const bool better =
        largest ? less(best_key, candidate, budget) : less(candidate, best_key, budget);
    if (!better) continue;
    best = &item;
    best_key = std::move(candidate);
  }
  return *best;
}

Value minimum(Budget& budget, const Value& self, const Arguments& arguments) {
  return extreme("min", false, budget, self, arguments);
}
Value maximum(Budget& budget, const Value& self, const Arguments& arguments) {
  return extreme("max", true, budget, self, arguments);
}

Value sum(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("sum", arguments, {"attribute", "start"});
  Value total = given.has(1) ? given[1] : Value(std::int64_t{0});
  const auto item_list = iterate(self, budget);
  for (const Value& item : item_list->items) {
    const Value value = follow(item, given.optional(0), nullptr, budget);
    if (value.string() != nullptr) bad_input("sum: a str cannot be added; use join");
    total = calculate(Operator::add, total, value, budget);
  }
  return total;
}

/// The arguments behind the first `count`.
Arguments behind(const Arguments& arguments, std::size_t count) {
  Arguments rest = arguments;
  rest.positional.erase(rest.positional.begin(),
                        rest.positional.begin() + static_cast<std::ptrdiff_t>(count));
  return rest;
}

Value map_attribute(Budget& budget, const Value& self, const Arguments& arguments) {
  const Arguments named{{}, arguments.named};
  const Parameters given("map", named, {"attribute", "default"}, 1);
  std::vector<Value> mapped;
  const auto item_list = iterate(self, budget);
  for (const Value& item : item_list->items) {
    mapped.push_back(follow(item, given.optional(0), given.optional(1), budget));
  }
  return list_value(std::move(mapped), budget, Kind::generator);
}

Value map(Budget& budget, const Value& self, const Arguments& arguments) {
  if (arguments.positional.empty()) return map_attribute(budget, self, arguments);
  const std::string* name = arguments.positional[0].string();
  const Native filter = name == nullptr ? nullptr : find_filter(*name);
  if (filter == nullptr) {
    bad_input("map: there is no filter '{}'", to_text(arguments.positional[0], budget));
  }
  // A filter may map by another one: bounded here, since data chooses the depth.
  if (filter == map) bad_input("map cannot map by map");
  const Arguments rest = behind(arguments, 1);
  std::vector<Value> mapped;
  const auto item_list = iterate(self, budget);
  for (const Value& item : item_list->items) {
    mapped.push_back(filter(budget, item, rest));
  }
  return list_value(std::move(mapped), budget, Kind::generator);
}

enum class Keep { passing, failing };

Value choose(Keep keep, bool by_attribute, Budget& budget, const Value& self,
             const Arguments& arguments) {
  const std::size_t test_index = by_attribute ? 1 : 0;
  if (arguments.positional.size() < test_index) {
    bad_input("selectattr and rejectattr need the name of an attribute");
  }
  Native test = nullptr;
  if (arguments.positional.size() > test_index) {
    const Value& name = arguments.positional[test_index];
    test = name.string() == nullptr ? nullptr : find_test(*name.string());
    if (test == nullptr) bad_input("there is no test '{}'", to_text(name, budget));
  }
  const Arguments rest = behind(arguments, test == nullptr ? test_index : test_index + 1);
  std::vector<Value> kept;
  const auto item_list = iterate(self, budget);
  for (const Value& item : item_list->items) {
    budget.step();
    const Value* path = by_attribute ? &arguments.positional[0] : nullptr;
    const Value subject = follow(item, path, nullptr, budget);
    const bool passes = truth(test == nullptr ? subject : test(budget, subject, rest));
    if (passes == (keep == Keep::passing)) kept.push_back(item);
  }
  return list_value(std::move(kept), budget, Kind::generator);
}

template <Keep keep, bool by_attribute>
Value filtered(Budget& budget, const Value& self, const Arguments& arguments) {
  return choose(keep, by_attribute, budget, self, arguments);
}

Value batch(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("batch", arguments, {"linecount", "fill_with"}, 1);
  const std::int64_t size = given.integer(0, 1);
  if (size < 1 || size > kMaxRange) bad_input("batch: {} is no size of a batch", size);
  std::vector<Value> batches;
  std::vector<Value> current;
  const auto item_list = iterate(self, budget);
  for (const Value& item : item_list->items) {
    if (static_cast<std::int64_t>(current.size()) == size) {
      batches.push_back(list_value(std::exchange(current, {}), budget));
    }
    current.push_back(item);
  }
  if (!current.empty()) {
    if (given.optional(1) != nullptr) current.resize(static_cast<std::size_t>(size), given[1]);
    batches.push_back(list_value(std::move(current), budget));
  }
  return list_value(std::move(batches), budget, Kind::generator);
}

Value slice(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("slice", arguments, {"slices", "fill_with"}, 1);
  const std::int64_t count = given.integer(0, 1);
  if (count < 1 || count > kMaxRange) bad_input("slice: {} is no number of slices", count);
  const auto items = iterate(self, budget);
  const auto total = static_cast<std::int64_t>(items->items.size());
  std::vector<Value> slices;
  auto place = items->items.begin();
  for (std::int64_t i = 0; i < count; ++i) {
    const bool longer = i < total % count;
    const auto end = place + (total / count + (longer ? 1 : 0));
    std::vector<Value> part(place, end);
    if (given.optional(1) != nullptr && !longer) part.push_back(given[1]);
    slices.push_back(list_value(std::move(part), budget));
    place = end;
  }
  return list_value(std::move(slices), budget, Kind::generator);
}

Value attribute(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("attr", arguments, {"name"}, 1);
  const std::string name = given.text(0, "");
  // Unlike x.name, never the key of a mapping.
  if (self.dict() != nullptr && !name.starts_with('_') && find_method(self, name) == nullptr) {
    return Value::undefined(fmt::format("'dict object' has no attribute '{}'", name.substr(0, 60)));
  }
  return get_attribute(self, name, budget);
}

constexpr FilterRow kSequenceFilters[] = {
    {"attr", attribute},
    {"batch", batch},
    {"count", length_of},
    {"d", default_value},
    {"default", default_value},
    {"dictsort", dict_sort},
    {"first", first},
    {"items", items_of},
    {"join", join},
    {"last", last},
    {"length", length_of},
    {"list", to_list},
    {"map", map},
    {"max", maximum},
    {"min", minimum},
    {"reject", filtered<Keep::failing, false>},
    {"rejectattr", filtered<Keep::failing, true>},
    {"reverse", reverse},
    {"select", filtered<Keep::passing, false>},
    {"selectattr", filtered<Keep::passing, true>},
    {"slice", slice},
    {"sort", sort},
    {"sum", sum},
    {"unique", unique},
};

}  // namespace

std::span<const FilterRow> sequence_filters() { return kSequenceFilters; }

}  // namespace tenon::text::jinja
