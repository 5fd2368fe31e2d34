// Value: what a template computes with. The types and their rules are Python's, since templates
// are written against Jinja2. Lists and mappings never change once made; copies share them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "text/jinja/budget.h"

namespace tenon::text::jinja {

class Value;
struct List;
struct Dict;
struct Namespace;
struct Loop;
struct Callable;

/// A name or member that is not there: prints as nothing, is false, refuses most other uses.
struct Undefined {
  std::shared_ptr<const std::string> what;  // "'x' is undefined"
};
struct None {};

class Value {
 public:
  using Data = std::variant<None, Undefined, bool, std::int64_t, double,
                            std::shared_ptr<const std::string>, std::shared_ptr<const List>,
                            std::shared_ptr<const Dict>, std::shared_ptr<Namespace>,
                            std::shared_ptr<const Loop>, std::shared_ptr<const Callable>>;

  Value() = default;
  explicit Value(bool value) : data_(value) {}
  explicit Value(std::int64_t value) : data_(value) {}
  explicit Value(double value) : data_(value) {}
  explicit Value(std::string value)
      : data_(std::make_shared<const std::string>(std::move(value))) {}
  explicit Value(std::shared_ptr<const List> value) : data_(std::move(value)) {}
  explicit Value(std::shared_ptr<const Dict> value) : data_(std::move(value)) {}
  explicit Value(std::shared_ptr<Namespace> value) : data_(std::move(value)) {}
  explicit Value(std::shared_ptr<const Loop> value) : data_(std::move(value)) {}
  explicit Value(std::shared_ptr<const Callable> value) : data_(std::move(value)) {}
  explicit Value(const char*) = delete;  // would become a bool

  static Value undefined(std::string what);

  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  /// The content, or null when the value is of another type.
  const bool* boolean() const { return std::get_if<bool>(&data_); }
  const std::int64_t* integer() const { return std::get_if<std::int64_t>(&data_); }
  const double* real() const { return std::get_if<double>(&data_); }
  const std::string* string() const { return object<const std::string>(); }
  const List* list() const { return object<const List>(); }
  const Dict* dict() const { return object<const Dict>(); }
  Namespace* name_space() const { return object<Namespace>(); }
  const Loop* loop() const { return object<const Loop>(); }
  const Callable* callable() const { return object<const Callable>(); }
  const Data& data() const { return data_; }

  /// Levels of lists, mappings and bound methods below; what holds references has none.
  int depth() const;
  /// Python's name of the type, for messages.
  std::string_view type_name() const;

 private:
  template <typename T>
  T* object() const {
    const auto* held = std::get_if<std::shared_ptr<T>>(&data_);
    return held == nullptr ? nullptr : held->get();
  }

  Data data_;
};

/// A list, a tuple, or what a lazy filter yields (`generator`: always true, read once).
struct List {
  enum class Kind { list, tuple, generator };
  std::vector<Value> items;
  Kind kind = Kind::list;
  int depth = 1;
  mutable bool spent = false;  // a generator that has been read
};

/// A mapping in order of insertion.
struct Dict {
  std::vector<std::pair<Value, Value>> items;
  std::unordered_map<std::string, std::size_t> index;  // by key_of
  int depth = 1;
};

/// The one mutable object: namespace().
struct Namespace {
  std::unordered_map<std::string, Value> attributes;
};

/// The variable `loop` of a for statement.
struct Loop {
  std::shared_ptr<const List> items;
  std::size_t index = 0;
};

/// Where numbers meet strings in messages and printing: the shared constructors.
std::shared_ptr<const List> make_list(std::vector<Value> items, Budget& budget,
                                      List::Kind kind = List::Kind::list);
Value list_value(std::vector<Value> items, Budget& budget, List::Kind kind = List::Kind::list);
Value string_value(std::string text, Budget& budget);

/// Builds a mapping; a later equal key replaces the value of the earlier one, as in Python.
class DictBuilder {
 public:
  explicit DictBuilder(Budget& budget) : budget_(budget) {}
  void set(Value key, Value value);
  Value finish();

 private:
  Budget& budget_;
  std::shared_ptr<Dict> dict_ = std::make_shared<Dict>();
};

/// Equal values have equal keys; refuses what Python cannot hash (lists, mappings).
std::string key_of(const Value& value, Budget& budget);
const Value* find(const Dict& dict, const Value& key, Budget& budget);
const Value* find(const Dict& dict, std::string_view key);

/// Refuses what would let values form a cycle: a namespace or a loop inside another value.
void check_storable(const Value& value);

/// bool(value)
bool truth(const Value& value);
/// The items of an iteration: list, tuple, generator (which it uses up), keys, characters.
std::shared_ptr<const List> iterate(const Value& value, Budget& budget);
/// len(value)
std::int64_t length(const Value& value);

Value from_json(const nlohmann::ordered_json& json, Budget& budget);

}  // namespace tenon::text::jinja
