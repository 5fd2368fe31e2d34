// Numbers of JSON, free and between bounds: a range of integers as a choice by digits.
#include <cstdint>
#include <limits>

#include "text/grammar/json_grammar.h"

namespace tenon::text::grammar {
namespace {

constexpr std::uint64_t kLargest = 9'999'999'999'999'999'999U;  // 19 digits

std::uint64_t magnitude(std::int64_t value) {
  return value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value);
}

}  // namespace

JsonGrammar::Node JsonGrammar::digits(char first, char last, std::int64_t low, std::int64_t high) {
  const Node one =
      grammar_.set(CodePoints({{static_cast<char32_t>(first), static_cast<char32_t>(last)}}));
  return low == 1 && high == 1 ? one : grammar_.repeat(one, low, high);
}

JsonGrammar::Node JsonGrammar::number() {
  const Node whole = naturals(0, kLargest);
  const Node fraction = grammar_.sequence({grammar_.text("."), digits('0', '9', 1, 20)});
  // Up to 279 above, so that 19 digits before the point stay within double.
  const Node up = grammar_.choice({digits('0', '9', 1, 2), naturals(100, 279)});
  const Node scale =
      grammar_.choice({grammar_.sequence({grammar_.optional(grammar_.text("+")), up}),
                       grammar_.sequence({grammar_.text("-"), digits('0', '9', 1, 3)})});
  const Node exponent =
      grammar_.sequence({grammar_.set(CodePoints({{'E', 'E'}, {'e', 'e'}})), scale});
  return grammar_.sequence({grammar_.optional(grammar_.text("-")), whole,
                            grammar_.optional(fraction), grammar_.optional(exponent)});
}

JsonGrammar::Node JsonGrammar::at_least(std::string_view low) {
  if (low.empty()) return grammar_.empty();
  const auto rest = static_cast<std::int64_t>(low.size() - 1);
  std::vector<Node> ways = {
      grammar_.sequence({digit_text(low.substr(0, 1)), at_least(low.substr(1))})};
  if (low[0] < '9') {
    ways.push_back(grammar_.sequence(
        {digits(static_cast<char>(low[0] + 1), '9', 1, 1), digits('0', '9', rest, rest)}));
  }
  return grammar_.choice(std::move(ways));
}

JsonGrammar::Node JsonGrammar::at_most(std::string_view high) {
  if (high.empty()) return grammar_.empty();
  const auto rest = static_cast<std::int64_t>(high.size() - 1);
  std::vector<Node> ways = {
      grammar_.sequence({digit_text(high.substr(0, 1)), at_most(high.substr(1))})};
  if (high[0] > '0') {
    ways.push_back(grammar_.sequence(
        {digits('0', static_cast<char>(high[0] - 1), 1, 1), digits('0', '9', rest, rest)}));
  }
  return grammar_.choice(std::move(ways));
}

JsonGrammar::Node JsonGrammar::same_length(std::string_view low, std::string_view high) {
  if (low.empty()) return grammar_.empty();
  if (low[0] == high[0]) {
    return grammar_.sequence(
        {digit_text(low.substr(0, 1)), same_length(low.substr(1), high.substr(1))});
  }
  const auto rest = static_cast<std::int64_t>(low.size() - 1);
  std::vector<Node> ways = {
      grammar_.sequence({digit_text(low.substr(0, 1)), at_least(low.substr(1))}),
      grammar_.sequence({digit_text(high.substr(0, 1)), at_most(high.substr(1))})};
  if (high[0] - low[0] > 1) {
    ways.push_back(grammar_.sequence(
        {digits(static_cast<char>(low[0] + 1), static_cast<char>(high[0] - 1), 1, 1),
         digits('0', '9', rest, rest)}));
  }
  return grammar_.choice(std::move(ways));
}

JsonGrammar::Node JsonGrammar::naturals(std::uint64_t low, std::uint64_t high) {
  if (low > high) return grammar_.never();
  const std::string first = std::to_string(low);
  const std::string last = std::to_string(high);
  std::vector<Node> ways;
  for (std::size_t length = first.size(); length <= last.size(); ++length) {
    std::string from(length, '0');
    from[0] = '1';
    if (length == first.size()) from = first;
    const std::string to = length == last.size() ? last : std::string(length, '9');
    ways.push_back(same_length(from, to));
  }
  return grammar_.choice(std::move(ways));
}

JsonGrammar::Node JsonGrammar::integer(const IntegerRange& range) {
  const bool from_below = !range.low || *range.low < 0;
  const bool from_zero = !range.high || *range.high >= 0;
  std::vector<Node> ways = {grammar_.never()};
  if (from_zero) {
    const std::uint64_t low = range.low && *range.low > 0 ? magnitude(*range.low) : 0;
    ways.push_back(naturals(low, range.high ? magnitude(*range.high) : kLargest));
  }
  if (from_below) {
    const std::uint64_t low = range.high && *range.high < 0 ? magnitude(*range.high) : 1;
    ways.push_back(grammar_.sequence(
        {grammar_.text("-"), naturals(low, range.low ? magnitude(*range.low) : kLargest)}));
  }
  return grammar_.choice(std::move(ways));
}

// Magnitudes: whole parts below `high` go on with any fraction, `high` itself with zeros only.
JsonGrammar::Node JsonGrammar::with_fractions(std::uint64_t low, std::uint64_t high,
                                              bool low_excluded, bool high_excluded) {
  if (low > high || (low == high && (low_excluded || high_excluded))) return grammar_.never();
  const Node point = grammar_.text(".");
  const auto fraction = [&](Node inner) { return grammar_.sequence({point, inner}); };
  const Node zeros = grammar_.optional(fraction(digits('0', '0', 1, 20)));
  const Node any = grammar_.optional(fraction(digits('0', '9', 1, 20)));
  const Node some = fraction(
      grammar_.sequence({digits('0', '0', 0, 10), digits('1', '9', 1, 1), digits('0', '9', 0, 9)}));
  std::vector<Node> ways = {grammar_.never()};
  if (!high_excluded) ways.push_back(grammar_.sequence({naturals(high, high), zeros}));
  if (low < high) {
    ways.push_back(grammar_.sequence({naturals(low, low), low_excluded ? some : any}));
    if (low + 1 < high) ways.push_back(grammar_.sequence({naturals(low + 1, high - 1), any}));
  }
  return grammar_.choice(std::move(ways));
}

JsonGrammar::Node JsonGrammar::number(const IntegerRange& range, bool low_excluded,
                                      bool high_excluded) {
  std::vector<Node> ways = {grammar_.never()};
  if (!range.high || *range.high >= 0) {
    const bool positive = range.low && *range.low >= 0;
    ways.push_back(with_fractions(positive ? magnitude(*range.low) : 0,
                                  range.high ? magnitude(*range.high) : kLargest,
                                  positive && low_excluded, range.high && high_excluded));
  }
  if (!range.low || *range.low < 0) {
    // "-0" and "-0.0" are zero, which may stand on the excluded side of a bound at zero.
    const bool below = range.high && *range.high <= 0;
    const std::uint64_t low = below ? magnitude(*range.high) : 0;
    ways.push_back(grammar_.sequence(
        {grammar_.text("-"), with_fractions(low, range.low ? magnitude(*range.low) : kLargest,
                                            below && high_excluded, range.low && low_excluded)}));
  }
  return grammar_.choice(std::move(ways));
}

}  // namespace tenon::text::grammar
