// Arithmetic and comparison.
#include "text/jinja/operators.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "text/jinja/format.h"
#include "text/jinja/print.h"

namespace tenon::text::jinja {
namespace {

std::optional<std::int64_t> as_integer(const Value& value) {
  if (const std::int64_t* number = value.integer()) return *number;
  if (const bool* flag = value.boolean()) return *flag ? 1 : 0;
  return std::nullopt;
}

void refuse_undefined(const Value& value) {
  if (const auto* undefined = std::get_if<Undefined>(&value.data())) {
    bad_input("{}", *undefined->what);
  }
}

[[noreturn]] void too_large() { bad_input("an integer of the chat template exceeds 64 bits"); }

std::int64_t floor_divided(std::int64_t a, std::int64_t b) {
  if (b == 0) bad_input("division by zero");
  if (b == -1) {
    std::int64_t result = 0;
    if (__builtin_sub_overflow(std::int64_t{0}, a, &result)) too_large();
    return result;
  }
  const std::int64_t quotient = a / b;
  return a % b != 0 && (a % b < 0) != (b < 0) ? quotient - 1 : quotient;
}

std::int64_t raised(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) too_large();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) too_large();
  }
  return result;
}

Value calculate_integers(Operator op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Operator::add:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Operator::subtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Operator::multiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case Operator::divide:
      if (b == 0) bad_input("division by zero");
      return Value(static_cast<double>(a) / static_cast<double>(b));
    case Operator::floor_divide:
      result = floor_divided(a, b);
      break;
    case Operator::modulo:
      if (b == 0) bad_input("division by zero");
      result = b == -1 ? 0 : a % b;
      if (result != 0 && (result < 0) != (b < 0)) result += b;
      break;
    case Operator::power:
      if (b < 0) {
        if (a == 0) bad_input("division by zero");
        return Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
      }
      result = raised(a, b);
      break;
  }
  if (overflow) too_large();
  return Value(result);
}

double floored_modulo(double a, double b) {
  double result = std::fmod(a, b);
  if (result != 0 && (result < 0) != (b < 0)) result += b;
  return result == 0 ? std::copysign(0.0, b) : result;
}

Value calculate_reals(Operator op, double a, double b) {
  if (b == 0 &&
      (op == Operator::divide || op == Operator::floor_divide || op == Operator::modulo)) {
    bad_input("division by zero");
  }
  switch (op) {
    case Operator::add:
      return Value(a + b);
    case Operator::subtract:
      return Value(a - b);
    case Operator::multiply:
      return Value(a * b);
    case Operator::divide:
      return Value(a / b);
    case Operator::floor_divide:
      // As Python: the exact multiple below a, which a / b may have rounded past.
      return Value(std::round((a - floored_modulo(a, b)) / b));
    case Operator::modulo:
      return Value(floored_modulo(a, b));
    case Operator::power:
      return Value(std::pow(a, b));
  }
  return {};
}

Value repeat(const Value& value, std::int64_t count, Budget& budget) {
  const auto times = static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0));
  const auto total = [&](std::size_t size) {
    std::uint64_t product = 0;
    if (__builtin_mul_overflow(static_cast<std::uint64_t>(size), times, &product)) too_large();
    return product;
  };
  if (const std::string* text = value.string()) {
    budget.allocate(total(text->size()));
    std::string result;
    for (std::uint64_t i = 0; i < times && !text->empty(); ++i) result += *text;
    return Value(std::move(result));
  }
  const List& list = *value.list();
  budget.allocate(total(list.items.size() * sizeof(Value)));
  std::vector<Value> items;
  for (std::uint64_t i = 0; i < times && !list.items.empty(); ++i) {
    items.insert(items.end(), list.items.begin(), list.items.end());
  }
  return list_value(std::move(items), budget, list.kind);
}

bool is_sequence(const Value& value) {
  const List* list = value.list();
  return value.string() != nullptr || (list != nullptr && list->kind != List::Kind::generator);
}

std::optional<Value> calculate_sequences(Operator op, const Value& a, const Value& b,
                                         Budget& budget) {
  if (op == Operator::modulo && a.string() != nullptr) {
    return string_value(format_percent(*a.string(), b, budget), budget);
  }
  if (op == Operator::multiply) {
    if (is_sequence(a) && as_integer(b)) return repeat(a, *as_integer(b), budget);
    if (is_sequence(b) && as_integer(a)) return repeat(b, *as_integer(a), budget);
  }
  if (op != Operator::add) return std::nullopt;
  if (a.string() != nullptr && b.string() != nullptr) {
    budget.allocate(a.string()->size() + b.string()->size());
    return Value(*a.string() + *b.string());
  }
  const List* left = a.list();
  const List* right = b.list();
  if (left == nullptr || right == nullptr || left->kind != right->kind || !is_sequence(a)) {
    return std::nullopt;
  }
  std::vector<Value> items = left->items;
  items.insert(items.end(), right->items.begin(), right->items.end());
  return list_value(std::move(items), budget, left->kind);
}

}  // namespace

const double* as_double(const Value& value, double& storage) {
  if (const double* real = value.real()) return real;
  const auto integer = as_integer(value);
  if (!integer) return nullptr;
  storage = static_cast<double>(*integer);
  return &storage;
}

bool equal(const Value& a, const Value& b, Budget& budget) {
  budget.step();
  double left_storage = 0;
  double right_storage = 0;
  const auto left_integer = as_integer(a);
  const auto right_integer = as_integer(b);
  if (left_integer && right_integer) return *left_integer == *right_integer;
  const double* left = as_double(a, left_storage);
  const double* right = as_double(b, right_storage);
  if (left != nullptr && right != nullptr) return *left == *right;
  if (a.data().index() != b.data().index()) return false;
  if (const std::string* text = a.string()) {
    budget.step(text->size() / 256);
    return *text == *b.string();
  }
  if (const List* list = a.list()) {
    const List& other = *b.list();
    if (list == &other) return true;
    return list->kind == other.kind && list->kind != List::Kind::generator &&
           std::equal(list->items.begin(), list->items.end(), other.items.begin(),
                      other.items.end(),
                      [&](const Value& x, const Value& y) { return equal(x, y, budget); });
  }
  if (const Dict* dict = a.dict()) {
    const Dict& other = *b.dict();
    if (dict->items.size() != other.items.size()) return false;
    return std::all_of(dict->items.begin(), dict->items.end(), [&](const auto& item) {
      const Value* found = find(other, item.first, budget);
      return found != nullptr && equal(item.second, *found, budget);
    });
  }
  return a.is_none() || a.is_undefined() ||
         (a.name_space() != nullptr && a.name_space() == b.name_space()) ||
         (a.loop() != nullptr && a.loop() == b.loop()) ||
         (a.callable() != nullptr && a.callable() == b.callable());
}

bool less(const Value& a, const Value& b, Budget& budget) {
  budget.step();
  refuse_undefined(a);
  refuse_undefined(b);
  const auto left_integer = as_integer(a);
  const auto right_integer = as_integer(b);
  if (left_integer && right_integer) return *left_integer < *right_integer;
  double left_storage = 0;
  double right_storage = 0;
  const double* left = as_double(a, left_storage);
  const double* right = as_double(b, right_storage);
  if (left != nullptr && right != nullptr) return *left < *right;
  // UTF-8 sorts as its code points do.
  if (a.string() != nullptr && b.string() != nullptr) return *a.string() < *b.string();
  const List* left_list = a.list();
  const List* right_list = b.list();
  if (left_list != nullptr && right_list != nullptr && left_list->kind == right_list->kind &&
      left_list->kind != List::Kind::generator) {
    const auto& x = left_list->items;
    const auto& y = right_list->items;
    std::size_t i = 0;
    while (i < x.size() && i < y.size() && equal(x[i], y[i], budget)) ++i;
    return i < x.size() && i < y.size() ? less(x[i], y[i], budget) : x.size() < y.size();
  }
  bad_input("a {} and a {} cannot be ordered", a.type_name(), b.type_name());
}

bool contains(const Value& container, const Value& item, Budget& budget) {
  if (const std::string* text = container.string()) {
    if (item.string() == nullptr) {
      refuse_undefined(item);
      bad_input("a {} cannot be in a str, only a str can", item.type_name());
    }
    budget.search(text->size(), item.string()->size());
    return text->find(*item.string()) != std::string::npos;
  }
  if (const Dict* dict = container.dict()) return find(*dict, item, budget) != nullptr;
  const auto list = iterate(container, budget);
  return std::any_of(list->items.begin(), list->items.end(),
                     [&](const Value& other) { return equal(other, item, budget); });
}

bool compare(Comparison comparison, const Value& a, const Value& b, Budget& budget) {
  double storage = 0;
  const double* left = as_double(a, storage);
  const double* right = as_double(b, storage);
  const bool unordered =
      (left != nullptr && std::isnan(*left)) || (right != nullptr && std::isnan(*right));
  switch (comparison) {
    case Comparison::equal:
      return equal(a, b, budget);
    case Comparison::not_equal:
      return !equal(a, b, budget);
    case Comparison::less:
      return less(a, b, budget);
    case Comparison::greater:
      return less(b, a, budget);
    case Comparison::less_equal:
      return !less(b, a, budget) && !unordered;
    case Comparison::greater_equal:
      return !less(a, b, budget) && !unordered;
    case Comparison::in:
      return contains(b, a, budget);
    case Comparison::not_in:
      return !contains(b, a, budget);
  }
  return false;
}

Value calculate(Operator op, const Value& a, const Value& b, Budget& budget) {
  if (auto result = calculate_sequences(op, a, b, budget)) return *std::move(result);
  refuse_undefined(a);
  refuse_undefined(b);
  const auto left_integer = as_integer(a);
  const auto right_integer = as_integer(b);
  if (left_integer && right_integer) return calculate_integers(op, *left_integer, *right_integer);
  double left_storage = 0;
  double right_storage = 0;
  const double* left = as_double(a, left_storage);
  const double* right = as_double(b, right_storage);
  if (left != nullptr && right != nullptr) return calculate_reals(op, *left, *right);
  constexpr const char* kSigns[] = {"+", "-", "*", "/", "//", "%", "**"};
  bad_input("operator {} does not take a {} and a {}", kSigns[static_cast<int>(op)], a.type_name(),
            b.type_name());
}

Value negate(const Value& value) {
  refuse_undefined(value);
  if (const double* real = value.real()) return Value(-*real);
  if (const auto integer = as_integer(value)) {
    return calculate_integers(Operator::subtract, 0, *integer);
  }
  bad_input("a {} has no negative", value.type_name());
}

}  // namespace tenon::text::jinja
