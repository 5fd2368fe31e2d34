// What a template can call: functions, methods bound to a value, macros; and their arguments.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace tenon::text::jinja {

struct Statement;
struct Scope;

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// Filters, methods and functions: `self` is the filtered value, the owner, or none.
using Native = Value (*)(Budget& budget, const Value& self, const Arguments& arguments);

struct Callable {
  std::string name;
  Native native = nullptr;           // a function or method, else a macro:
  Value self;                        // of a method
  const Statement* macro = nullptr;  // lives as long as the template
  std::weak_ptr<Scope> scope;        // where the macro was defined
};

/// Arguments matched to parameter names as Python does; refuses unknown and superfluous ones.
class Parameters {
 public:
  /// `names` in order; the first `required` must be given.
  Parameters(std::string_view callee, const Arguments& arguments,
             std::initializer_list<const char*> names, std::size_t required = 0);

  bool has(std::size_t i) const { return values_[i] != nullptr; }
  const Value& operator[](std::size_t i) const { return *values_[i]; }
  /// The argument as this type, or the fallback when it is not given.
  std::int64_t integer(std::size_t i, std::int64_t fallback) const;
  bool boolean(std::size_t i, bool fallback) const;
  std::string text(std::size_t i, std::string_view fallback) const;  // must be a string
  /// Null when not given or none.
  const Value* optional(std::size_t i) const;

 private:
  std::string callee_;
  std::vector<const Value*> values_;
  std::vector<const char*> names_;
};

/// Null when there is none of this name.
Native find_filter(std::string_view name);
Native find_test(std::string_view name);
Native find_function(std::string_view name);
/// A method of the value's type, or null.
Native find_method(const Value& self, std::string_view name);
/// A method that Jinja2's sandbox refuses because it changes its object.
bool is_mutating_method(const Value& self, std::string_view name);

}  // namespace tenon::text::jinja
