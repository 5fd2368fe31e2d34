// The operators of expressions on values, with Python's rules and its refusals.
#pragma once

#include <string_view>

#include "text/jinja/value.h"

namespace tenon::text::jinja {

enum class Operator { add, subtract, multiply, divide, floor_divide, modulo, power };
enum class Comparison { equal, not_equal, less, less_equal, greater, greater_equal, in, not_in };

bool equal(const Value& a, const Value& b, Budget& budget);
/// a < b; refuses types that have no common order.
bool less(const Value& a, const Value& b, Budget& budget);
bool contains(const Value& container, const Value& item, Budget& budget);
bool compare(Comparison comparison, const Value& a, const Value& b, Budget& budget);

Value calculate(Operator op, const Value& a, const Value& b, Budget& budget);
Value negate(const Value& value);
/// A number as a double, true as 1; null otherwise.
const double* as_double(const Value& value, double& storage);

/// container.name: a method or member; undefined when there is none; refuses what begins with _.
Value get_attribute(const Value& container, std::string_view name, Budget& budget);
/// container[key]
Value get_item(const Value& container, const Value& key, Budget& budget);
/// container[start:stop:step]; none stands for an omitted bound.
Value get_slice(const Value& container, const Value& start, const Value& stop, const Value& step,
                Budget& budget);

}  // namespace tenon::text::jinja
