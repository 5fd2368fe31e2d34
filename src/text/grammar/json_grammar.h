// The parts of JSON text as expressions, in the layouts that are generated.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "text/grammar/grammar.h"

namespace tenon::text::grammar {

/// Both bounds belong to it.
struct IntegerRange {
  std::optional<std::int64_t> low, high;
};

/// Adds to a grammar that must outlive it.
///
/// Layout: a space or nothing behind `:`; behind `{ [ ,` and before `} ]` nothing, a space, or a
/// line break with at most 20 spaces or tabs. Numbers have at most 19 digits before the point, 20
/// behind it and exponents from -999 to 279.
class JsonGrammar {
 public:
  using Node = Grammar::Node;
  explicit JsonGrammar(Grammar& grammar) : grammar_(grammar) {}

  Node space();
  Node colon();
  Node comma();  ///< with the space behind it

  /// `length` -1 for high: no limit. Lengths count code points; each may be escaped.
  Node string(std::int64_t low, std::int64_t high);
  /// A character of the set in a string, spelled in one way: escaped only where JSON asks for it.
  Node character(const CodePoints& points);
  /// A string that is none of `taken`, its characters spelled in one way.
  Node other_string(const std::vector<std::string>& taken);
  Node number();
  Node integer(const IntegerRange& range);
  /// Without exponent, between integral bounds, which may be excluded.
  Node number(const IntegerRange& range, bool low_excluded, bool high_excluded);
  Node value();   ///< any
  Node object();  ///< any
  Node array();   ///< any

  /// This value, strings spelled in one way and keys in their order.
  Node literal(const nlohmann::ordered_json& value);

  Node object_of(const std::vector<Grammar::Item>& members);
  Node array_of(const std::vector<Grammar::Item>& items);
  Node member(const std::string& name, Node value);
  /// Items of one kind; `high` -1: no limit.
  Node array_of(Node item, std::int64_t low, std::int64_t high);

 private:
  std::int32_t value_rule();
  Node digit_text(std::string_view text) { return grammar_.text(std::string(text)); }
  Node digits(char first, char last, std::int64_t low, std::int64_t high);
  Node naturals(std::uint64_t low, std::uint64_t high);
  Node same_length(std::string_view low, std::string_view high);
  Node at_least(std::string_view low);
  Node at_most(std::string_view high);
  Node with_fractions(std::uint64_t low, std::uint64_t high, bool low_excluded, bool high_excluded);
  Node other_rest(const std::vector<std::string>& taken, std::size_t begin, std::size_t end,
                  std::size_t at, Node any);

  Grammar& grammar_;
  std::int32_t value_ = -1, object_ = -1, array_ = -1;
  Node space_ = -1;
};

}  // namespace tenon::text::grammar
