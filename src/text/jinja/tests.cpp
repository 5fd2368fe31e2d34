// The tests behind `is`.
#include <algorithm>

#include "text/jinja/callable.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace tenon::text::jinja {
namespace {

using Predicate = bool (*)(const Value&);

template <Predicate predicate>
Value check(Budget&, const Value& self, const Arguments& arguments) {
  const Parameters none("this test", arguments, {});
  return Value(predicate(self));
}

template <Comparison comparison>
Value compared(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("this test", arguments, {"other"}, 1);
  return Value(compare(comparison, self, given[0], budget));
}

bool is_defined(const Value& value) { return !value.is_undefined(); }
bool is_undefined(const Value& value) { return value.is_undefined(); }
bool is_none(const Value& value) { return value.is_none(); }
bool is_boolean(const Value& value) { return value.boolean() != nullptr; }
bool is_true(const Value& value) { return value.boolean() != nullptr && *value.boolean(); }
bool is_false(const Value& value) { return value.boolean() != nullptr && !*value.boolean(); }
bool is_integer(const Value& value) { return value.integer() != nullptr; }
bool is_float(const Value& value) { return value.real() != nullptr; }
bool is_string(const Value& value) { return value.string() != nullptr; }
bool is_mapping(const Value& value) { return value.dict() != nullptr; }
bool is_callable(const Value& value) { return value.callable() != nullptr; }
bool is_number(const Value& value) {
  return is_boolean(value) || is_integer(value) || is_float(value);
}
bool is_sequence(const Value& value) {
  const List* list = value.list();
  return is_string(value) || is_mapping(value) || value.is_undefined() ||
         (list != nullptr && list->kind != List::Kind::generator);
}
bool is_iterable(const Value& value) { return is_sequence(value) || value.list() != nullptr; }
bool is_escaped(const Value&) { return false; }

Value parity(std::int64_t rest, Budget& budget, const Value& self) {
  const Value divided = calculate(Operator::modulo, self, Value(std::int64_t{2}), budget);
  return Value(equal(divided, Value(rest), budget));
}
Value is_odd(Budget& budget, const Value& self, const Arguments&) {
  return parity(1, budget, self);
}
Value is_even(Budget& budget, const Value& self, const Arguments&) {
  return parity(0, budget, self);
}

Value is_divisible(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("divisibleby", arguments, {"num"}, 1);
  const Value rest = calculate(Operator::modulo, self, given[0], budget);
  return Value(equal(rest, Value(std::int64_t{0}), budget));
}

Value is_lower(Budget& budget, const Value& self, const Arguments&) {
  return Value(has_case(to_text(self, budget), LetterCase::lower));
}
Value is_upper(Budget& budget, const Value& self, const Arguments&) {
  return Value(has_case(to_text(self, budget), LetterCase::upper));
}

Value is_same(Budget& budget, const Value& self, const Arguments& arguments) {
  const Parameters given("sameas", arguments, {"other"}, 1);
  const Value& other = given[0];
  if (self.data().index() != other.data().index()) return Value(false);
  if (self.list() != nullptr || self.dict() != nullptr) {
    return Value(self.list() == other.list() && self.dict() == other.dict());
  }
  return Value(equal(self, other, budget));
}

Value names_filter(Budget&, const Value& self, const Arguments&) {
  return Value(self.string() != nullptr && find_filter(*self.string()) != nullptr);
}
Value names_test(Budget&, const Value& self, const Arguments&) {
  return Value(self.string() != nullptr && find_test(*self.string()) != nullptr);
}

struct Row {
  std::string_view name;
  Native native;
};
constexpr Row kTests[] = {
    {"!=", compared<Comparison::not_equal>},
    {"<", compared<Comparison::less>},
    {"<=", compared<Comparison::less_equal>},
    {"==", compared<Comparison::equal>},
    {">", compared<Comparison::greater>},
    {">=", compared<Comparison::greater_equal>},
    {"boolean", check<is_boolean>},
    {"callable", check<is_callable>},
    {"defined", check<is_defined>},
    {"divisibleby", is_divisible},
    {"eq", compared<Comparison::equal>},
    {"equalto", compared<Comparison::equal>},
    {"escaped", check<is_escaped>},
    {"even", is_even},
    {"false", check<is_false>},
    {"filter", names_filter},
    {"float", check<is_float>},
    {"ge", compared<Comparison::greater_equal>},
    {"greaterthan", compared<Comparison::greater>},
    {"gt", compared<Comparison::greater>},
    {"in", compared<Comparison::in>},
    {"integer", check<is_integer>},
    {"iterable", check<is_iterable>},
    {"le", compared<Comparison::less_equal>},
    {"lessthan", compared<Comparison::less>},
    {"lower", is_lower},
    {"lt", compared<Comparison::less>},
    {"mapping", check<is_mapping>},
    {"ne", compared<Comparison::not_equal>},
    {"none", check<is_none>},
    {"number", check<is_number>},
    {"odd", is_odd},
    {"sameas", is_same},
    {"sequence", check<is_sequence>},
    {"string", check<is_string>},
    {"test", names_test},
    {"true", check<is_true>},
    {"undefined", check<is_undefined>},
    {"upper", is_upper},
};

}  // namespace

Native find_test(std::string_view name) {
  const auto* row = std::find_if(std::begin(kTests), std::end(kTests),
                                 [&](const Row& r) { return r.name == name; });
  return row == std::end(kTests) ? nullptr : row->native;
}

}  // namespace tenon::text::jinja
