// Filters that make numbers: int, float, round, abs, sum; and default.
#include <charconv>
#include <cmath>
#include <optional>

#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace tenon::text::jinja {
namespace {

/// The digits of a Python number literal: stripped, with single underscores removed.
std::optional<std::string> plain_digits(std::string_view text) {
  const std::string_view stripped = strip(text, nullptr, true, true);
  std::string digits;
  for (std::size_t i = 0; i < stripped.size(); ++i) {
    const auto alnum = [&](std::size_t j) {
      return j < stripped.size() && std::isalnum(static_cast<unsigned char>(stripped[j])) != 0;
    };
    if (stripped[i] != '_') {
      digits += stripped[i];
    } else if (i == 0 || !alnum(i - 1) || !alnum(i + 1)) {
      return std::nullopt;
    }
  }
  return digits;
}

std::optional<std::int64_t> parse_integer(std::string_view text, int base) {
  auto digits = plain_digits(text);
  if (!digits || digits->empty()) return std::nullopt;
  bool negative = false;
  if ((*digits)[0] == '-' || (*digits)[0] == '+') {
    negative = (*digits)[0] == '-';
    digits->erase(0, 1);
  }
  if (digits->size() > 2 && (*digits)[0] == '0') {
    const char letter = static_cast<char>((*digits)[1] | 0x20);
    const int named = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (named != 0 && (base == named || base == 0)) {
      digits->erase(0, 2);
      base = named;
    }
  }
  if (base == 0) base = 10;
  if (digits->empty() || (*digits)[0] == '-') return std::nullopt;
  if (negative) digits->insert(0, 1, '-');
  std::int64_t value = 0;
  const char* end = digits->data() + digits->size();
  const auto parsed = std::from_chars(digits->data(), end, value, base);
  if (parsed.ec == std::errc::result_out_of_range) {
    bad_input("int: {} does not fit 64 bits", digits->substr(0, 60));
  }
  return parsed.ec == std::errc() && parsed.ptr == end ? std::optional(value) : std::nullopt;
}

std::optional<double> parse_real(std::string_view text) {
  auto digits = plain_digits(text);
  if (!digits || digits->empty()) return std::nullopt;
  std::string_view rest = *digits;
  if (rest[0] == '+') rest.remove_prefix(1);
  if (rest.empty() || rest[0] == '+') return std::nullopt;
  if (digits->find_first_of("()") != std::string::npos) return std::nullopt;  // nan(...)
  double value = 0;
  const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (parsed.ptr != rest.data() + rest.size()) return std::nullopt;
  if (parsed.ec == std::errc::result_out_of_range) return std::strtod(rest.data(), nullptr);
  return parsed.ec == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<std::int64_t> truncated(double value) {
  if (std::isnan(value) || std::isinf(value)) return std::nullopt;
  if (std::abs(value) >= 9.2e18) bad_input("int: {} does not fit 64 bits", value);
  return static_cast<std::int64_t>(value);
}

void refuse_undefined(const Value& value) {
  if (const auto* undefined = std::get_if<Undefined>(&value.data())) {
    bad_input("{}", *undefined->what);
  }
}

Value to_int(Budget&, const Value& self, const Arguments& arguments) {
  const Parameters given("int", arguments, {"default", "base"});
  const std::int64_t base = given.integer(1, 10);
  if (base != 0 && (base < 2 || base > 36)) bad_input("int: {} is no base of numbers", base);
  refuse_undefined(self);
  double storage = 0;
  std::optional<std::int64_t> value;
  if (self.integer() != nullptr) return self;
  if (const std::string* text = self.string()) {
    value = parse_integer(*text, static_cast<int>(base));
    if (!value) {
      const auto real = parse_real(*text);
      if (real) value = truncated(*real);
    }
  } else if (const double* real = as_double(self, storage)) {
    value = truncated(*real);
  }
  return value ? Value(*value) : given.has(0) ? given[0] : Value(std::int64_t{0});
}

Value to_float(Budget&, const Value& self, const Arguments& arguments) {
  const Parameters given("float", arguments, {"default"});
  refuse_undefined(self);
  double storage = 0;
  if (const double* real = as_double(self, storage)) return Value(*real);
  if (const std::string* text = self.string()) {
    if (const auto real = parse_real(*text)) return Value(*real);
  }
  return given.has(0) ? given[0] : Value(0.0);
}

Value absolute(Budget&, const Value& self, const Arguments& arguments) {
  const Parameters none("abs", arguments, {});
  if (const double* real = self.real()) return Value(std::abs(*real));
  double storage = 0;
  const double* number = as_double(self, storage);
  if (number == nullptr) bad_input("abs needs a number, found a {}", self.type_name());
  return *number < 0 ? negate(self) : negate(negate(self));
}

double round_to(double value, std::int64_t digits) {
  if (digits > 308 || std::isnan(value) || std::isinf(value)) return value;
  if (digits < -308) return std::copysign(0.0, value);
  if (digits >= 0) {
    // printf rounds the exact binary value, half to even: what Python's round does.
    return std::stod(fmt::format("{:.{}f}", value, static_cast<int>(digits)));
  }
  const double power = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(value / power) * power;
}

Value round_common(const Value& self, std::int64_t digits) {
  if (const double* real = self.real()) return Value(round_to(*real, digits));
  double storage = 0;
  if (as_double(self, storage) == nullptr) {
    refuse_undefined(self);
    bad_input("round needs a number, found a {}", self.type_name());
  }
  if (digits >= 0 || self.integer() == nullptr) return negate(negate(self));
  if (digits < -18) return Value(std::int64_t{0});
  std::int64_t power = 1;
  for (std::int64_t i = 0; i > digits; --i) power *= 10;
  const std::int64_t value = *self.integer();
  std::int64_t rest = value % power;
  if (rest < 0) rest += power;
  const std::int64_t low = value - rest;
  const bool up = rest > power - rest || (rest == power - rest && (low / power) % 2 != 0);
  return Value(up ? low + power : low);
}

Value round(Budget&, const Value& self, const Arguments& arguments) {
  const Parameters given("round", arguments, {"precision", "method"});
  const std::int64_t digits = given.integer(0, 0);
  const std::string method = given.text(1, "common");
  if (method == "common") return round_common(self, digits);
  if (method != "ceil" && method != "floor") {
    bad_input("round: the method is {}, expected common, ceil or floor", method.substr(0, 60));
  }
  double storage = 0;
  const double* value = as_double(self, storage);
  if (value == nullptr) bad_input("round needs a number, found a {}", self.type_name());
  const double power = std::pow(10.0, static_cast<double>(digits));
  const double scaled = *value * power;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / power);
}

constexpr FilterRow kNumberFilters[] = {
    {"abs", absolute},
    {"float", to_float},
    {"int", to_int},
    {"round", round},
};

}  // namespace

std::span<const FilterRow> number_filters() { return kNumberFilters; }

}  // namespace tenon::text::jinja
