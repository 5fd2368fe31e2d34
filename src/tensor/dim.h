// A dimension that may depend on sizes known only when a model runs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

/// An integer polynomial over named sizes ("batch_size"), in a canonical form: two dims are equal
/// exactly when their polynomials are. Quotients that do not divide evenly and maxima stay as atoms
/// of it. A plain value; text form `2*past_sequence_length + sequence_length`, `floor(h / 2)`,
/// `max(a, b)`.
class Dim {
 public:
  using Bindings = std::map<std::string, std::int64_t, std::less<>>;

  Dim(std::int64_t constant = 0);  // NOLINT(google-explicit-constructor): numbers are dims
  static Dim symbol(std::string_view name);
  static Dim max(const Dim& a, const Dim& b);
  static Dim min(const Dim& a, const Dim& b);
  /// Rounds towards minus infinity; exact when `divisor` divides every term. Divisor > 0.
  static Dim floor_div(const Dim& value, const Dim& divisor);
  static Dim ceil_div(const Dim& value, const Dim& divisor);

  /// The number, when no symbol is left.
  std::optional<std::int64_t> constant() const;
  /// This over `divisor` when it divides evenly whatever the symbols are.
  std::optional<Dim> divided_by(const Dim& divisor) const;

  Dim operator+(const Dim& other) const;
  Dim operator-(const Dim& other) const;
  Dim operator*(const Dim& other) const;
  bool operator==(const Dim& other) const = default;
  auto operator<=>(const Dim& other) const = default;

  /// Error(bad_input) names a symbol without a binding; Error on overflow.
  std::int64_t evaluate(const Bindings& bindings) const;
  Dim substitute(const std::map<std::string, Dim, std::less<>>& replacements) const;
  /// Names of all symbols, each once, sorted.
  std::vector<std::string> symbols() const;

  std::string to_string() const;
  /// Reads the text form; nullopt when the text is not one. Symbols are identifiers, dots allowed
  /// inside.
  static std::optional<Dim> parse(std::string_view text);

 private:
  using Monomial = std::vector<std::string>;  // atoms, sorted; a composite atom is its text form
  static Dim atom(std::string text);
  void add_term(const Monomial& monomial, std::int64_t factor);

  std::map<Monomial, std::int64_t> terms_;  // no zero factors
};

using DimShape = std::vector<Dim>;

/// `[batch_size, 32]`
std::string to_string(const DimShape& shape);
/// Product of all.
Dim element_count(const DimShape& shape);
/// The shape in numbers, when no symbol is left.
std::optional<std::vector<std::int64_t>> constant_shape(const DimShape& shape);
std::vector<std::int64_t> evaluate(const DimShape& shape, const Dim::Bindings& bindings);

}  // namespace tenon
