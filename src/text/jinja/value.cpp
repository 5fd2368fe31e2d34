// Value: construction with its limits, hashing, truth, iteration, and JSON in.
#include "text/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "text/jinja/callable.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace tenon::text::jinja {
namespace {

int checked_depth(int depth) {
  if (depth > kMaxValueDepth) {
    bad_input("values of the chat template are nested deeper than {}", kMaxValueDepth);
  }
  return depth;
}

std::string number_key(double value) {
  // 1, 1.0 and true are one key in Python.
  if (value == std::floor(value) && std::abs(value) < 9e18) {
    return fmt::format("i{}", static_cast<std::int64_t>(value));
  }
  return fmt::format("f{}", float_text(value));
}

Value from_json(const nlohmann::ordered_json& json, Budget& budget, int depth) {
  using Type = nlohmann::ordered_json::value_t;
  if (depth > kMaxValueDepth) {
    bad_input("the messages are nested deeper than {}", kMaxValueDepth);
  }
  budget.step();
  switch (json.type()) {
    case Type::boolean:
      return Value(json.get<bool>());
    case Type::number_integer:
      return Value(json.get<std::int64_t>());
    case Type::number_unsigned: {
      const auto value = json.get<std::uint64_t>();
      if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return Value(static_cast<std::int64_t>(value));
      }
      return Value(static_cast<double>(value));
    }
    case Type::number_float:
      return Value(json.get<double>());
    case Type::string:
      return string_value(json.get_ref<const std::string&>(), budget);
    case Type::array: {
      std::vector<Value> items;
      for (const auto& item : json) items.push_back(from_json(item, budget, depth + 1));
      return list_value(std::move(items), budget);
    }
    case Type::object: {
      DictBuilder dict(budget);
      for (const auto& [key, value] : json.items()) {
        dict.set(string_value(key, budget), from_json(value, budget, depth + 1));
      }
      return dict.finish();
    }
    case Type::null:
    case Type::binary:
    case Type::discarded:
      return {};
  }
  return {};
}

}  // namespace

Value Value::undefined(std::string what) {
  Value value;
  value.data_ = Undefined{std::make_shared<const std::string>(std::move(what))};
  return value;
}

int Value::depth() const {
  if (const List* held = list()) return held->depth;
  if (const Dict* held = dict()) return held->depth;
  if (const Callable* held = callable()) return held->self.depth() + 1;
  return 0;
}

std::string_view Value::type_name() const {
  constexpr std::string_view kNames[] = {"None", "Undefined", "bool",      "int",  "float",   "str",
                                         "list", "dict",      "namespace", "loop", "function"};
  if (const List* held = list()) {
    if (held->kind == List::Kind::tuple) return "tuple";
    if (held->kind == List::Kind::generator) return "generator";
  }
  return kNames[data_.index()];
}

void check_storable(const Value& value) {
  const Callable* callable = value.callable();
  const Value& held = callable != nullptr ? callable->self : value;
  if (held.name_space() != nullptr || held.loop() != nullptr) {
    bad_input("a {} cannot be stored inside another value", held.type_name());
  }
}

std::shared_ptr<const List> make_list(std::vector<Value> items, Budget& budget, List::Kind kind) {
  budget.allocate(sizeof(List) + items.size() * sizeof(Value));
  auto list = std::make_shared<List>();
  for (const Value& item : items) {
    check_storable(item);
    list->depth = std::max(list->depth, checked_depth(item.depth() + 1));
  }
  list->items = std::move(items);
  list->kind = kind;
  return list;
}

Value list_value(std::vector<Value> items, Budget& budget, List::Kind kind) {
  return Value(make_list(std::move(items), budget, kind));
}

Value string_value(std::string text, Budget& budget) {
  budget.allocate(text.size() + sizeof(std::string));
  return Value(std::move(text));
}

void DictBuilder::set(Value key, Value value) {
  check_storable(value);
  std::string name = key_of(key, budget_);
  budget_.allocate(2 * sizeof(Value) + name.size() + 64);
  const int depth = std::max(key.depth(), value.depth()) + 1;
  dict_->depth = std::max(dict_->depth, checked_depth(depth));
  const auto [place, is_new] = dict_->index.emplace(std::move(name), dict_->items.size());
  if (is_new) {
    dict_->items.emplace_back(std::move(key), std::move(value));
  } else {
    dict_->items[place->second].second = std::move(value);
  }
}

Value DictBuilder::finish() { return Value(std::shared_ptr<const Dict>(std::move(dict_))); }

std::string key_of(const Value& value, Budget& budget) {
  budget.step();
  if (const std::string* text = value.string()) return fmt::format("s{}", *text);
  if (const bool* flag = value.boolean()) return *flag ? "i1" : "i0";
  if (const std::int64_t* number = value.integer()) return fmt::format("i{}", *number);
  if (const double* number = value.real()) return number_key(*number);
  if (value.is_none()) return "n";
  if (value.is_undefined()) return "u";
  const List* list = value.list();
  if (list != nullptr && list->kind == List::Kind::tuple) {
    std::string key = "t";
    for (const Value& item : list->items) {
      const std::string part = key_of(item, budget);
      budget.allocate(part.size());
      key += fmt::format("{}:{}", part.size(), part);
    }
    return key;
  }
  bad_input("a {} cannot be a key (unhashable type)", value.type_name());
}

const Value* find(const Dict& dict, const Value& key, Budget& budget) {
  const auto place = dict.index.find(key_of(key, budget));
  return place == dict.index.end() ? nullptr : &dict.items[place->second].second;
}

const Value* find(const Dict& dict, std::string_view key) {
  const auto place = dict.index.find(fmt::format("s{}", key));
  return place == dict.index.end() ? nullptr : &dict.items[place->second].second;
}

bool truth(const Value& value) {
  if (value.is_none() || value.is_undefined()) return false;
  if (const bool* flag = value.boolean()) return *flag;
  if (const std::int64_t* number = value.integer()) return *number != 0;
  if (const double* number = value.real()) return *number != 0;
  if (const std::string* text = value.string()) return !text->empty();
  if (const List* list = value.list()) {
    return list->kind == List::Kind::generator || !list->items.empty();
  }
  if (const Dict* dict = value.dict()) return !dict->items.empty();
  return true;
}

std::shared_ptr<const List> iterate(const Value& value, Budget& budget) {
  if (const auto* list = std::get_if<std::shared_ptr<const List>>(&value.data())) {
    if ((*list)->kind != List::Kind::generator) return *list;
    if ((*list)->spent) return make_list({}, budget);
    (*list)->spent = true;
    return *list;
  }
  std::vector<Value> items;
  if (const Dict* dict = value.dict()) {
    for (const auto& [key, unused] : dict->items) items.push_back(key);
  } else if (const std::string* text = value.string()) {
    for (std::size_t position = 0; position < text->size();) {
      const std::size_t start = position;
      next_code_point(*text, position);
      items.push_back(string_value(text->substr(start, position - start), budget));
    }
  } else if (!value.is_undefined()) {
    bad_input("a {} is not iterable", value.type_name());
  }
  return make_list(std::move(items), budget);
}

std::int64_t length(const Value& value) {
  if (const std::string* text = value.string()) {
    return static_cast<std::int64_t>(count_code_points(*text));
  }
  if (const Dict* dict = value.dict()) return static_cast<std::int64_t>(dict->items.size());
  if (const List* list = value.list(); list != nullptr && list->kind != List::Kind::generator) {
    return static_cast<std::int64_t>(list->items.size());
  }
  if (const Loop* loop = value.loop()) return static_cast<std::int64_t>(loop->items->items.size());
  if (value.is_undefined()) return 0;
  bad_input("a {} has no length{}", value.type_name(),
            value.list() != nullptr ? "; put |list before it" : "");
}

Value from_json(const nlohmann::ordered_json& json, Budget& budget) {
  return from_json(json, budget, 0);
}

}  // namespace tenon::text::jinja
