// Python's two ways to put values into text. Both come down to one field specification.
#include "text/jinja/format.h"

#include <cctype>
#include <cmath>

#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace tenon::text::jinja {
namespace {

constexpr std::int64_t kMaxWidth = 10'000;

struct Field {
  char32_t fill = ' ';
  char align = 0;  // < > ^ =, 0: by type
  char sign = '-';
  bool alternate = false;
  char grouping = 0;
  std::int64_t width = 0;
  std::int64_t precision = -1;
  char type = 0;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::int64_t read_number(std::string_view text, std::size_t& position) {
  std::int64_t number = 0;
  while (position < text.size() && is_digit(text[position])) {
    number = number * 10 + (text[position++] - '0');
    if (number > kMaxWidth) bad_input("a format width is above {}", kMaxWidth);
  }
  return number;
}

std::string digits_of(std::uint64_t magnitude, char type, bool alternate) {
  switch (type) {
    case 'x':
      return fmt::format("{}{:x}", alternate ? "0x" : "", magnitude);
    case 'X':
      return fmt::format("{}{:X}", alternate ? "0X" : "", magnitude);
    case 'o':
      return fmt::format("{}{:o}", alternate ? "0o" : "", magnitude);
    case 'b':
      return fmt::format("{}{:b}", alternate ? "0b" : "", magnitude);
    default:
      return std::to_string(magnitude);
  }
}

std::string grouped(std::string digits, char separator) {
  const std::size_t end = std::min(digits.find_first_of(".eE"), digits.size());
  for (std::size_t i = end; i > 3;) {
    i -= 3;
    digits.insert(i, 1, separator);
  }
  return digits;
}

std::string real_digits(double magnitude, const Field& field) {
  const int precision = field.precision < 0 ? 6 : static_cast<int>(field.precision);
  switch (field.type) {
    case 'f':
    case 'F':
      return fmt::format("{:.{}f}", magnitude, precision);
    case 'e':
      return fmt::format("{:.{}e}", magnitude, precision);
    case 'E':
      return fmt::format("{:.{}E}", magnitude, precision);
    case '%':
      return fmt::format("{:.{}f}%", magnitude * 100, precision);
    case 'g':
      return fmt::format("{:.{}g}", magnitude, precision);
    case 'G':
      return fmt::format("{:.{}G}", magnitude, precision);
    default:
      if (field.precision < 0) return float_text(magnitude);
      return fmt::format("{:.{}g}", magnitude, precision);
  }
}

std::string padded(std::string_view sign, std::string_view body, const Field& field,
                   char default_align) {
  const char align = field.align != 0 ? field.align : default_align;
  const auto size = static_cast<std::int64_t>(sign.size() + count_code_points(body));
  const std::int64_t total = std::max<std::int64_t>(field.width - size, 0);
  const std::int64_t before = align == '>' || align == '=' ? total : align == '^' ? total / 2 : 0;
  std::string out;
  if (align == '=') out += sign;
  for (std::int64_t i = 0; i < before; ++i) append_code_point(out, field.fill);
  if (align != '=') out += sign;
  out += body;
  for (std::int64_t i = before; i < total; ++i) append_code_point(out, field.fill);
  return out;
}

std::string format_number(const Value& value, const Field& field) {
  double storage = 0;
  const bool whole = value.real() == nullptr;
  const double real = *as_double(value, storage);
  const bool negative = std::signbit(real);
  std::string digits;
  if (whole && std::string_view("feEgGF%").find(field.type) == std::string_view::npos) {
    const std::int64_t number =
        value.integer() != nullptr ? *value.integer() : static_cast<std::int64_t>(real);
    const auto magnitude =
        number < 0 ? 0 - static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number);
    digits = digits_of(magnitude, field.type, field.alternate);
  } else {
    digits = real_digits(std::abs(real), field);
  }
  if (field.grouping != 0) digits = grouped(std::move(digits), field.grouping);
  const std::string_view sign = negative            ? "-"
                                : field.sign == '+' ? "+"
                                : field.sign == ' ' ? " "
                                                    : "";
  return padded(sign, digits, field, '>');
}

std::string format_text(std::string_view text, const Field& field) {
  std::string cut(text);
  if (field.precision >= 0) {
    cut = to_utf8(std::u32string_view(to_code_points(text))
                      .substr(0, static_cast<std::size_t>(field.precision)));
  }
  return padded("", cut, field, '<');
}

Field parse_specification(std::string_view spec) {
  Field field;
  std::size_t position = 0;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  if (!spec.empty()) {
    std::size_t after = 0;
    const char32_t first = next_code_point(spec, after);
    if (after < spec.size() && is_align(spec[after])) {
      field.fill = first;
      field.align = spec[after];
      position = after + 1;
    } else if (is_align(spec[0])) {
      field.align = spec[0];
      position = 1;
    }
  }
  const auto next_is = [&](std::string_view set) {
    return position < spec.size() && set.find(spec[position]) != std::string_view::npos;
  };
  if (next_is("+- ")) field.sign = spec[position++];
  if (next_is("#")) field.alternate = spec[position++] == '#';
  if (next_is("0") && field.align == 0) {
    field.fill = '0';
    field.align = '=';
  }
  field.width = read_number(spec, position);
  if (next_is(",_")) field.grouping = spec[position++];
  if (next_is(".")) field.precision = read_number(spec, ++position);
  if (next_is("bdeEfFgGosxX%")) field.type = spec[position++];
  if (position != spec.size()) bad_input("format: \"{}\" is not a format", spec.substr(0, 60));
  return field;
}

std::string format_field(const Value& value, std::string_view spec, Budget& budget) {
  if (spec.empty()) return to_text(value, budget);
  const Field field = parse_specification(spec);
  double storage = 0;
  if (as_double(value, storage) != nullptr && field.type != 's' &&
      (value.boolean() == nullptr || field.type != 0)) {
    return format_number(value, field);
  }
  if (field.type != 0 && field.type != 's') {
    bad_input("format: a {} has no format {}", value.type_name(), field.type);
  }
  return format_text(to_text(value, budget), field);
}

/// The values of a % operation, in order or by name.
class PercentValues {
 public:
  explicit PercentValues(const Value& values) : values_(values) {
    tuple_ = values.list() != nullptr && values.list()->kind == List::Kind::tuple;
  }
  Value next() {
    const std::size_t i = used_++;
    if (tuple_ && i < values_.list()->items.size()) return values_.list()->items[i];
    if (!tuple_ && i == 0) return values_;
    bad_input("not enough values for the format string");
  }
  Value named(std::string_view name) {
    ++used_;
    if (values_.dict() == nullptr) bad_input("the format string requires a mapping");
    const Value* found = find(*values_.dict(), name);
    if (found == nullptr) bad_input("format: there is no key {}", name.substr(0, 60));
    return *found;
  }
  void check_all_used() const {
    const bool all = tuple_ ? used_ >= values_.list()->items.size()
                            : used_ > 0 || values_.dict() != nullptr || values_.list() != nullptr;
    if (!all) bad_input("not all values were used by the format string");
  }

 private:
  const Value& values_;
  bool tuple_ = false;
  std::size_t used_ = 0;
};

std::string convert_percent(char type, Field field, const Value& value, Budget& budget) {
  if (type == 's' || type == 'r' || type == 'a') {
    field.align = field.align == '<' ? '<' : '>';
    field.fill = ' ';
    return format_text(type == 's' ? to_text(value, budget) : to_repr(value, budget), field);
  }
  double storage = 0;
  const double* real = as_double(value, storage);
  const bool integral = std::string_view("diuxXo").find(type) != std::string_view::npos;
  if (!integral && std::string_view("feEgGF").find(type) == std::string_view::npos) {
    bad_input("format: there is no conversion %{}", type);
  }
  if (real == nullptr) bad_input("format: %{} needs a number, not a {}", type, value.type_name());
  field.type = type == 'i' || type == 'u' ? 'd' : type;
  if (!integral || value.real() == nullptr) return format_number(value, field);
  if (!(std::abs(*real) < 9e18)) bad_input("format: the number does not fit 64 bits");
  return format_number(Value(static_cast<std::int64_t>(*real)), field);
}

}  // namespace

std::string format_percent(std::string_view pattern, const Value& values, Budget& budget) {
  PercentValues source(values);
  std::string out;
  for (std::size_t i = 0; i < pattern.size();) {
    if (pattern[i] != '%') {
      out += pattern[i++];
      continue;
    }
    if (++i < pattern.size() && pattern[i] == '%') {
      out += pattern[i++];
      continue;
    }
    std::string_view name;
    bool named = false;
    if (i < pattern.size() && pattern[i] == '(') {
      const std::size_t end = std::min(pattern.find(')', i), pattern.size());
      name = pattern.substr(i + 1, end - i - 1);
      named = true;
      i = std::min(end + 1, pattern.size());
    }
    Field field;
    for (;
         i < pattern.size() && std::string_view("-+ #0").find(pattern[i]) != std::string_view::npos;
         ++i) {
      if (pattern[i] == '-') field.align = '<';
      if (pattern[i] == '+' || (pattern[i] == ' ' && field.sign != '+')) field.sign = pattern[i];
      if (pattern[i] == '#') field.alternate = true;
      if (pattern[i] == '0' && field.align != '<') {
        field.fill = '0';
        field.align = '=';
      }
    }
    if (field.align == '<') field.fill = ' ';
    field.width = read_number(pattern, i);
    if (i < pattern.size() && pattern[i] == '.') field.precision = read_number(pattern, ++i);
    if (i == pattern.size()) bad_input("the format string ends inside a conversion");
    const Value value = named ? source.named(name) : source.next();
    out += convert_percent(pattern[i++], field, value, budget);
    budget.allocate(static_cast<std::uint64_t>(field.width));
  }
  source.check_all_used();
  return out;
}

namespace {

Value find_argument(std::string_view name, const Arguments& arguments, std::size_t& automatic) {
  const bool numbered = name.empty() || is_digit(name[0]);
  if (numbered) {
    std::size_t position = 0;
    const std::size_t index =
        name.empty() ? automatic++ : static_cast<std::size_t>(read_number(name, position));
    if (index < arguments.positional.size()) return arguments.positional[index];
    bad_input("format: there is no argument {}", index);
  }
  for (const auto& [key, value] : arguments.named) {
    if (key == name) return value;
  }
  bad_input("format: there is no argument {}", name.substr(0, 60));
}

/// "name.member[item]"
Value resolve_field(std::string_view path, const Arguments& arguments, std::size_t& automatic,
                    Budget& budget) {
  std::size_t end = std::min(path.find_first_of(".["), path.size());
  Value value = find_argument(path.substr(0, end), arguments, automatic);
  while (end < path.size()) {
    const bool member = path[end] == '.';
    const std::size_t start = end + 1;
    end = std::min(member ? path.find_first_of(".[", start) : path.find(']', start), path.size());
    const std::string_view name = path.substr(start, end - start);
    if (member) {
      value = get_attribute(value, name, budget);
    } else {
      std::size_t position = 0;
      const bool number = !name.empty() && is_digit(name[0]);
      value = get_item(
          value, number ? Value(read_number(name, position)) : Value(std::string(name)), budget);
      if (end < path.size()) ++end;
    }
  }
  return value;
}

}  // namespace

std::string format_braces(std::string_view pattern, const Arguments& arguments, Budget& budget) {
  std::string out;
  std::size_t automatic = 0;
  for (std::size_t i = 0; i < pattern.size();) {
    const char c = pattern[i++];
    if (c != '{' && c != '}') {
      out += c;
      continue;
    }
    if (i < pattern.size() && pattern[i] == c) {
      out += pattern[i++];
      continue;
    }
    const std::size_t end = c == '{' ? pattern.find('}', i) : std::string_view::npos;
    if (end == std::string_view::npos) bad_input("format: a single {} in the format string", c);
    std::string_view field = pattern.substr(i, end - i);
    i = end + 1;
    const std::size_t colon = std::min(field.find(':'), field.size());
    const std::string_view spec = field.substr(std::min(colon + 1, field.size()));
    field = field.substr(0, colon);
    char conversion = 's';
    bool converted = false;
    if (field.size() >= 2 && field[field.size() - 2] == '!') {
      conversion = field.back();
      converted = true;
      field.remove_suffix(2);
    }
    Value value = resolve_field(field, arguments, automatic, budget);
    if (converted) {
      value = Value(conversion == 's' ? to_text(value, budget) : to_repr(value, budget));
    }
    const std::string text = format_field(value, spec, budget);
    budget.allocate(text.size());
    out += text;
  }
  return out;
}

}  // namespace tenon::text::jinja
