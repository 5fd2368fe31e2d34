#include "tensor/dim.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "base/error.h"

namespace tenon {
namespace {

std::int64_t checked_mul(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) bad_input("dimension {} * {} leaves 64 bits", a, b);
  return product;
}

std::int64_t checked_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) bad_input("dimension {} + {} leaves 64 bits", a, b);
  return sum;
}

// Files can ask for expressions that double at each step; none that a model needs comes near these.
constexpr std::size_t kMaxTerms = 256;
constexpr std::size_t kMaxDegree = 32;
constexpr std::size_t kMaxAtomText = 2048;

std::int64_t floor_quotient(std::int64_t value, std::int64_t divisor) {
  if (divisor <= 0) bad_input("dimension divided by {}", divisor);
  const std::int64_t quotient = value / divisor;
  return value % divisor < 0 ? quotient - 1 : quotient;
}

// Recursive descent over: sum := product (('+'|'-') product)*, product := factor ('*' factor)*,
// factor := number | identifier | function '(' sum [('/'|',') sum] ')' | '(' sum ')' | '-' factor.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<Dim> whole() {
    auto value = sum(0);
    skip();
    return at_ == text_.size() ? value : std::nullopt;
  }

 private:
  static constexpr int kMaxDepth = 64;

  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char wanted) {
    skip();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  std::optional<Dim> sum(int depth) {
    if (depth > kMaxDepth) return std::nullopt;
    auto value = product(depth);
    while (value) {
      const bool plus = take('+');
      if (!plus && !take('-')) break;
      const auto next = product(depth);
      if (!next) return std::nullopt;
      value = plus ? *value + *next : *value - *next;
    }
    return value;
  }
  std::optional<Dim> product(int depth) {
    auto value = factor(depth);
    while (value && take('*')) {
      const auto next = factor(depth);
      if (!next) return std::nullopt;
      value = *value * *next;
    }
    return value;
  }
  std::optional<Dim> factor(int depth) {
    skip();
    if (depth > kMaxDepth || at_ >= text_.size()) return std::nullopt;
    if (take('-')) {
      const auto value = factor(depth + 1);
      return value ? std::optional(Dim(0) - *value) : std::nullopt;
    }
    if (take('(')) {
      const auto value = sum(depth + 1);
      return value && take(')') ? value : std::nullopt;
    }
    if (std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) return number();
    return named(depth);
  }
  std::optional<Dim> number() {
    std::int64_t value = 0;
    for (; at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0; ++at_) {
      if (value > (std::int64_t{1} << 59)) return std::nullopt;
      value = value * 10 + (text_[at_] - '0');
    }
    return Dim(value);
  }
  std::optional<Dim> named(int depth) {
    const std::size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                  text_[at_] == '_' || text_[at_] == '.')) {
      ++at_;
    }
    if (start == at_) return std::nullopt;
    const std::string_view name = text_.substr(start, at_ - start);
    if (!take('(')) return Dim::symbol(name);
    const auto a = sum(depth + 1);
    if (!a || (!take('/') && !take(','))) return std::nullopt;
    const auto b = sum(depth + 1);
    if (!b || !take(')')) return std::nullopt;
    if (name == "max") return Dim::max(*a, *b);
    if (name == "min") return Dim::min(*a, *b);
    if (name == "floor" && b->constant().value_or(1) > 0) return Dim::floor_div(*a, *b);
    return std::nullopt;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

struct Composite {
  std::string function;
  Dim a;
  Dim b;
};

// Atoms are built from `function(a / b)` or `function(a, b)` by this file alone.
std::optional<Composite> split_composite(const std::string& text) {
  const auto open = text.find('(');
  if (open == std::string::npos) return std::nullopt;
  int depth = 0;
  for (std::size_t i = open + 1; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')') --depth;
    if (depth == 0 && (text[i] == '/' || text[i] == ',')) {
      const std::string_view view(text);
      const auto a = Dim::parse(view.substr(open + 1, i - open - 1));
      const auto b = Dim::parse(view.substr(i + 1, text.size() - i - 2));
      if (a && b) return Composite{text.substr(0, open), *a, *b};
    }
  }
  return std::nullopt;
}

// floor(a / m) + c with numbers m and c, of which floor((floor(a / m) + c) / n) is
// floor((a + c * m) / (m * n)).
template <typename Terms>
std::optional<std::pair<Composite, std::int64_t>> quotient_and_number(const Terms& terms) {
  std::int64_t shift = 0;
  std::optional<Composite> inner;
  for (const auto& [monomial, factor] : terms) {
    if (monomial.empty()) shift = factor;
    if (monomial.empty()) continue;
    if (inner || factor != 1 || monomial.size() != 1) return std::nullopt;
    inner = split_composite(monomial[0]);
    if (!inner || inner->function != "floor" || !inner->b.constant()) return std::nullopt;
  }
  return inner ? std::optional(std::pair{*inner, shift}) : std::nullopt;
}

}  // namespace

Dim::Dim(std::int64_t constant) {
  if (constant != 0) terms_[{}] = constant;
}

Dim Dim::atom(std::string text) {
  if (text.size() > kMaxAtomText)
    bad_input("dimension {}... is too long an expression", text.substr(0, 80));
  Dim dim;
  dim.terms_[{std::move(text)}] = 1;
  return dim;
}

Dim Dim::symbol(std::string_view name) { return atom(std::string(name)); }

Dim Dim::max(const Dim& a, const Dim& b) {
  if (const auto difference = (a - b).constant()) return *difference >= 0 ? a : b;
  const bool ordered = a.to_string() < b.to_string();
  return atom(
      fmt::format("max({}, {})", (ordered ? a : b).to_string(), (ordered ? b : a).to_string()));
}

Dim Dim::min(const Dim& a, const Dim& b) {
  if (const auto difference = (a - b).constant()) return *difference <= 0 ? a : b;
  const bool ordered = a.to_string() < b.to_string();
  return atom(
      fmt::format("min({}, {})", (ordered ? a : b).to_string(), (ordered ? b : a).to_string()));
}

Dim Dim::floor_div(const Dim& value, const Dim& divisor) {
  if (const auto number = divisor.constant()) {
    if (*number <= 0) bad_input("dimension {} divided by {}", value.to_string(), *number);
    if (const auto whole = value.constant()) return floor_quotient(*whole, *number);
    // Terms that divide evenly leave the quotient: floor((2*h + 3) / 2) = h + floor(3 / 2).
    Dim outside;
    Dim inside;
    for (const auto& [monomial, factor] : value.terms_) {
      const std::int64_t quotient = floor_quotient(factor, *number);
      const std::int64_t rest = factor - quotient * *number;
      if (monomial.empty() || rest == 0) {
        outside.add_term(monomial, quotient);
        inside.add_term(monomial, rest);
      } else {
        inside.add_term(monomial, factor);
      }
    }
    if (const auto rest = inside.constant()) return outside + Dim(floor_quotient(*rest, *number));
    if (const auto whole = quotient_and_number(inside.terms_)) {
      const auto& [inner, shift] = *whole;
      return outside + floor_div(inner.a + Dim(shift) * inner.b, inner.b * Dim(*number));
    }
    return outside + atom(fmt::format("floor({} / {})", inside.to_string(), *number));
  }
  if (const auto exact = value.divided_by(divisor)) return *exact;
  return atom(fmt::format("floor({} / {})", value.to_string(), divisor.to_string()));
}

Dim Dim::ceil_div(const Dim& value, const Dim& divisor) {
  return floor_div(value + divisor - Dim(1), divisor);
}

std::optional<std::int64_t> Dim::constant() const {
  if (terms_.empty()) return 0;
  if (terms_.size() == 1 && terms_.begin()->first.empty()) return terms_.begin()->second;
  return std::nullopt;
}

std::optional<Dim> Dim::divided_by(const Dim& divisor) const {
  if (*this == divisor && !terms_.empty()) return Dim(1);
  if (divisor.terms_.size() != 1) return std::nullopt;
  const auto& [atoms, factor] = *divisor.terms_.begin();
  Dim quotient;
  for (const auto& [monomial, count] : terms_) {
    Monomial rest = monomial;
    for (const auto& name : atoms) {
      const auto found = std::find(rest.begin(), rest.end(), name);
      if (found == rest.end()) return std::nullopt;
      rest.erase(found);
    }
    if (factor == -1) {
      quotient.add_term(rest, checked_mul(count, -1));
      continue;
    }
    if (count % factor != 0) return std::nullopt;
    quotient.add_term(rest, count / factor);
  }
  return quotient;
}

void Dim::add_term(const Monomial& monomial, std::int64_t factor) {
  auto& sum = terms_[monomial];
  sum = checked_add(sum, factor);
  if (sum == 0) terms_.erase(monomial);
  if (terms_.size() > kMaxTerms) bad_input("a dimension has more than {} terms", kMaxTerms);
}

Dim Dim::operator+(const Dim& other) const {
  Dim sum = *this;
  for (const auto& [monomial, factor] : other.terms_) sum.add_term(monomial, factor);
  return sum;
}

Dim Dim::operator-(const Dim& other) const { return *this + other * Dim(-1); }

Dim Dim::operator*(const Dim& other) const {
  Dim product;
  for (const auto& [left, a] : terms_) {
    for (const auto& [right, b] : other.terms_) {
      Monomial joined = left;
      joined.insert(joined.end(), right.begin(), right.end());
      if (joined.size() > kMaxDegree)
        bad_input("a dimension is a product of more than {} sizes", kMaxDegree);
      std::sort(joined.begin(), joined.end());
      product.add_term(joined, checked_mul(a, b));
    }
  }
  return product;
}

std::int64_t Dim::evaluate(const Bindings& bindings) const {
  std::int64_t sum = 0;
  for (const auto& [monomial, factor] : terms_) {
    std::int64_t product = factor;
    for (const auto& name : monomial) {
      std::int64_t value = 0;
      if (const auto bound = bindings.find(name); bound != bindings.end()) {
        value = bound->second;
      } else if (const auto composite = split_composite(name)) {
        const std::int64_t a = composite->a.evaluate(bindings);
        const std::int64_t b = composite->b.evaluate(bindings);
        value = composite->function == "max"   ? std::max(a, b)
                : composite->function == "min" ? std::min(a, b)
                                               : floor_quotient(a, b);
      } else {
        bad_input("the size \"{}\" has no value", name);
      }
      product = checked_mul(product, value);
    }
    sum = checked_add(sum, product);
  }
  return sum;
}

Dim Dim::substitute(const std::map<std::string, Dim, std::less<>>& replacements) const {
  Dim sum;
  for (const auto& [monomial, factor] : terms_) {
    Dim product(factor);
    for (const auto& name : monomial) {
      if (const auto found = replacements.find(name); found != replacements.end()) {
        product = product * found->second;
      } else if (const auto composite = split_composite(name)) {
        const Dim a = composite->a.substitute(replacements);
        const Dim b = composite->b.substitute(replacements);
        product = product * (composite->function == "max"   ? max(a, b)
                             : composite->function == "min" ? min(a, b)
                                                            : floor_div(a, b));
      } else {
        product = product * symbol(name);
      }
    }
    sum = sum + product;
  }
  return sum;
}

std::vector<std::string> Dim::symbols() const {
  std::set<std::string> names;
  for (const auto& [monomial, factor] : terms_) {
    for (const auto& name : monomial) {
      if (const auto composite = split_composite(name)) {
        for (auto& inner : composite->a.symbols()) names.insert(inner);
        for (auto& inner : composite->b.symbols()) names.insert(inner);
      } else {
        names.insert(name);
      }
    }
  }
  return {names.begin(), names.end()};
}

std::string Dim::to_string() const {
  if (terms_.empty()) return "0";
  std::string text;
  // The constant, which sorts first, reads better last.
  auto write = [&](const Monomial& monomial, std::int64_t factor) {
    if (!text.empty()) text += factor < 0 ? " - " : " + ";
    if (text.empty() && factor < 0) text += "-";
    const std::string magnitude = std::to_string(factor < 0 ? -factor : factor);
    if (monomial.empty()) {
      text += magnitude;
      return;
    }
    if (magnitude != "1") text += magnitude + "*";
    for (std::size_t i = 0; i < monomial.size(); ++i) text += (i > 0 ? "*" : "") + monomial[i];
  };
  for (const auto& [monomial, factor] : terms_) {
    if (!monomial.empty()) write(monomial, factor);
  }
  if (const auto number = terms_.find(Monomial{}); number != terms_.end())
    write({}, number->second);
  return text;
}

std::optional<Dim> Dim::parse(std::string_view text) { return Parser(text).whole(); }

std::string to_string(const DimShape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + shape[i].to_string();
  return text + "]";
}

Dim element_count(const DimShape& shape) {
  Dim count(1);
  for (const auto& dim : shape) count = count * dim;
  return count;
}

std::optional<std::vector<std::int64_t>> constant_shape(const DimShape& shape) {
  std::vector<std::int64_t> numbers;
  for (const auto& dim : shape) {
    const auto number = dim.constant();
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

std::vector<std::int64_t> evaluate(const DimShape& shape, const Dim::Bindings& bindings) {
  std::vector<std::int64_t> numbers;
  numbers.reserve(shape.size());
  for (const auto& dim : shape) numbers.push_back(dim.evaluate(bindings));
  return numbers;
}

}  // namespace tenon
