// Members, items and slices of values.
#include <algorithm>

#include "text/jinja/callable.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace tenon::text::jinja {
namespace {

Value missing(const Value& container, std::string_view name) {
  if (const auto* undefined = std::get_if<Undefined>(&container.data())) {
    bad_input("{}", *undefined->what);
  }
  return Value::undefined(
      fmt::format("'{} object' has no attribute '{}'", container.type_name(), name.substr(0, 100)));
}

Value get_loop_attribute(const Value& self, std::string_view name) {
  const Loop& loop = *self.loop();
  const auto& items = loop.items->items;
  const auto index = static_cast<std::int64_t>(loop.index);
  const auto count = static_cast<std::int64_t>(items.size());
  if (name == "index") return Value(index + 1);
  if (name == "index0") return Value(index);
  if (name == "revindex") return Value(count - index);
  if (name == "revindex0") return Value(count - index - 1);
  if (name == "first") return Value(index == 0);
  if (name == "last") return Value(index + 1 == count);
  if (name == "length") return Value(count);
  // The depth counts recursive loops only, of which there are none here.
  if (name == "depth") return Value(std::int64_t{1});
  if (name == "depth0") return Value(std::int64_t{0});
  if (name == "previtem") {
    return index > 0 ? items[loop.index - 1] : Value::undefined("there is no previous item");
  }
  if (name == "nextitem") {
    return index + 1 < count ? items[loop.index + 1] : Value::undefined("there is no next item");
  }
  return missing(self, name);
}

Value bound_method(const Value& self, std::string_view name) {
  const Native native = find_method(self, name);
  if (native == nullptr) return Value::undefined({});
  auto callable = std::make_shared<Callable>();
  callable->name = std::string(name);
  callable->native = native;
  callable->self = self;
  // A loop may call cycle although it cannot be stored.
  if (self.depth() >= kMaxValueDepth) bad_input("values of the chat template are nested too deep");
  return Value(std::shared_ptr<const Callable>(std::move(callable)));
}

/// The item at a Python index, or null.
const Value* at(const std::vector<Value>& items, std::int64_t index) {
  const auto count = static_cast<std::int64_t>(items.size());
  if (index < -count || index >= count) return nullptr;
  return &items[static_cast<std::size_t>(index < 0 ? index + count : index)];
}

struct Range {
  std::int64_t start, stop, step;
};

/// Python's slice.indices
Range resolve(const Value& start, const Value& stop, const Value& step, std::int64_t count) {
  const auto bound = [](const Value& value, const char* what) {
    if (const std::int64_t* number = value.integer()) return *number;
    if (const bool* flag = value.boolean()) return std::int64_t{*flag ? 1 : 0};
    bad_input("the {} of a slice is a {}, an int was expected", what, value.type_name());
  };
  const std::int64_t stride = step.is_none() ? 1 : bound(step, "step");
  if (stride == 0) bad_input("the step of a slice is 0");
  const std::int64_t low = stride < 0 ? -1 : 0;
  const std::int64_t high = stride < 0 ? count - 1 : count;
  const auto clip = [&](std::int64_t value) {
    if (value < 0) value = value < -count ? low : value + count;
    return std::clamp(value, low, std::max(low, high));
  };
  return {start.is_none() ? (stride < 0 ? high : low) : clip(bound(start, "start")),
          stop.is_none() ? (stride < 0 ? low : high) : clip(bound(stop, "stop")), stride};
}

template <typename Items, typename Out>
void take(const Items& items, const Range& range, Out& out) {
  std::int64_t i = range.start;
  while (range.step > 0 ? i < range.stop : i > range.stop) {
    out.push_back(items[static_cast<std::size_t>(i)]);
    if (__builtin_add_overflow(i, range.step, &i)) break;
  }
}

}  // namespace

Value get_attribute(const Value& container, std::string_view name, Budget& budget) {
  budget.step();
  const Dict* dict = container.dict();
  if (name.starts_with('_')) {
    const Value* member = dict == nullptr || name.starts_with("__") ? nullptr : find(*dict, name);
    if (member != nullptr) return *member;
    bad_input("access to the attribute {} is refused: names that begin with _ are private",
              name.substr(0, 100));
  }
  if (container.loop() != nullptr && name != "cycle") return get_loop_attribute(container, name);
  if (const Namespace* space = container.name_space()) {
    const auto place = space->attributes.find(std::string(name));
    return place == space->attributes.end() ? missing(container, name) : place->second;
  }
  // As in Python, a method hides a key of its name: message.items is never the key.
  if (Value method = bound_method(container, name); !method.is_undefined()) return method;
  if (is_mutating_method(container, name)) {
    bad_input("{}.{} is refused: a template cannot change values; use a namespace",
              container.type_name(), name);
  }
  if (const Callable* callable = container.callable(); callable != nullptr && name == "name") {
    return string_value(callable->name, budget);
  }
  if (dict != nullptr) {
    if (const Value* member = find(*dict, name)) return *member;
  }
  return missing(container, name);
}

Value get_item(const Value& container, const Value& key, Budget& budget) {
  budget.step();
  const auto name = [&] { return key.string() != nullptr ? *key.string() : to_repr(key, budget); };
  if (const Dict* dict = container.dict()) {
    const bool hashable = key.list() == nullptr && key.dict() == nullptr;
    const bool tuple = key.list() != nullptr && key.list()->kind == List::Kind::tuple;
    if (hashable || tuple) {
      if (const Value* member = find(*dict, key, budget)) return *member;
    }
  }
  const bool* flag = key.boolean();
  if (key.integer() != nullptr || flag != nullptr) {
    const std::int64_t index = flag != nullptr ? (*flag ? 1 : 0) : *key.integer();
    const List* list = container.list();
    if (list != nullptr && list->kind != List::Kind::generator) {
      const Value* item = at(list->items, index);
      return item != nullptr ? *item : missing(container, name());
    }
    if (const std::string* text = container.string()) {
      budget.step(text->size() / 64);
      const std::u32string points = to_code_points(*text);
      const auto count = static_cast<std::int64_t>(points.size());
      if (index < -count || index >= count) return missing(container, name());
      const auto place = static_cast<std::size_t>(index < 0 ? index + count : index);
      return string_value(to_utf8(std::u32string_view(points).substr(place, 1)), budget);
    }
  }
  if (key.string() != nullptr && container.dict() == nullptr) {
    return get_attribute(container, *key.string(), budget);
  }
  if (key.string() != nullptr && !key.string()->starts_with('_')) {
    if (Value method = bound_method(container, *key.string()); !method.is_undefined()) {
      return method;
    }
  }
  return missing(container, name());
}

Value get_slice(const Value& container, const Value& start, const Value& stop, const Value& step,
                Budget& budget) {
  if (const std::string* text = container.string()) {
    budget.allocate(text->size() * sizeof(char32_t));
    const std::u32string points = to_code_points(*text);
    std::u32string taken;
    take(points, resolve(start, stop, step, static_cast<std::int64_t>(points.size())), taken);
    return string_value(to_utf8(taken), budget);
  }
  const List* list = container.list();
  if (list == nullptr || list->kind == List::Kind::generator) {
    return missing(container, "slice");
  }
  budget.allocate(list->items.size() * sizeof(Value));
  std::vector<Value> taken;
  take(list->items, resolve(start, stop, step, static_cast<std::int64_t>(list->items.size())),
       taken);
  return list_value(std::move(taken), budget, list->kind);
}

}  // namespace tenon::text::jinja
