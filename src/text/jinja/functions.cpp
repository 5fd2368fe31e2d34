// The functions that every template can call.
#include <algorithm>
#include <ctime>

#include "text/jinja/callable.h"
#include "text/jinja/print.h"

namespace tenon::text::jinja {
namespace {

Value range(Budget& budget, const Value&, const Arguments& arguments) {
  const Parameters given("range", arguments, {"start", "stop", "step"}, 1);
  const std::int64_t first = given.integer(0, 0);
  const std::int64_t start = given.has(1) ? first : 0;
  const std::int64_t stop = given.integer(1, first);
  const std::int64_t step = given.integer(2, 1);
  if (step == 0) bad_input("range: the step is 0");
  // Counted in unsigned numbers: the distance of two 64-bit numbers fits them.
  const bool empty = step > 0 ? start >= stop : start <= stop;
  const std::uint64_t distance =
      step > 0 ? static_cast<std::uint64_t>(stop) - static_cast<std::uint64_t>(start)
               : static_cast<std::uint64_t>(start) - static_cast<std::uint64_t>(stop);
  const std::uint64_t stride =
      step > 0 ? static_cast<std::uint64_t>(step) : 0 - static_cast<std::uint64_t>(step);
  const std::uint64_t count = empty ? 0 : (distance - 1) / stride + 1;
  if (count > static_cast<std::uint64_t>(kMaxRange)) {
    bad_input("range: {} numbers are asked for, at most {} are allowed", count, kMaxRange);
  }
  budget.allocate(count * sizeof(Value));
  std::vector<Value> items;
  for (std::uint64_t i = 0; i < count; ++i) {
    items.emplace_back(static_cast<std::int64_t>(static_cast<std::uint64_t>(start) +
                                                 i * static_cast<std::uint64_t>(step)));
  }
  return list_value(std::move(items), budget);
}

Value dict(Budget& budget, const Value&, const Arguments& arguments) {
  DictBuilder built(budget);
  for (const Value& source : arguments.positional) {
    if (const Dict* other = source.dict()) {
      for (const auto& [key, value] : other->items) built.set(key, value);
      continue;
    }
    const auto pair_list = iterate(source, budget);
    for (const Value& pair : pair_list->items) {
      const auto items = iterate(pair, budget);
      if (items->items.size() != 2) bad_input("dict: an item has no key and value");
      built.set(items->items[0], items->items[1]);
    }
  }
  for (const auto& [name, value] : arguments.named) built.set(Value(name), value);
  return built.finish();
}

Value name_space(Budget& budget, const Value&, const Arguments& arguments) {
  const Value initial = dict(budget, {}, arguments);
  auto space = std::make_shared<Namespace>();
  for (const auto& [key, value] : initial.dict()->items) {
    if (key.string() == nullptr) bad_input("namespace: a key is a {}, not a str", key.type_name());
    space->attributes[*key.string()] = value;
  }
  return Value(std::move(space));
}

Value raise_exception(Budget& budget, const Value&, const Arguments& arguments) {
  const Parameters given("raise_exception", arguments, {"message"}, 1);
  bad_input("{}", to_text(given[0], budget));
}

Value strftime_now(Budget& budget, const Value&, const Arguments& arguments) {
  const Parameters given("strftime_now", arguments, {"format"}, 1);
  const std::string format = given.text(0, "");
  if (format.size() > 1000) bad_input("strftime_now: the format has {} bytes", format.size());
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[8192];
  const std::size_t size = std::strftime(text, sizeof text, format.c_str(), &local);
  return string_value(std::string(text, size), budget);
}

struct Row {
  std::string_view name;
  Native native;
};
constexpr Row kFunctions[] = {
    {"range", range},
    {"dict", dict},
    {"namespace", name_space},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
};

}  // namespace

Native find_function(std::string_view name) {
  const auto* row = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                 [&](const Row& r) { return r.name == name; });
  return row == std::end(kFunctions) ? nullptr : row->native;
}

}  // namespace tenon::text::jinja
