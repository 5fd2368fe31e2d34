// Characters of a constraint's source, with the place of errors; what its parsers share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/grammar/code_points.h"
#include "text/grammar/grammar.h"
#include "text/tokenizer/utf8.h"

namespace tenon::text::grammar {

inline constexpr int kMaxGroups = 150;                           // brackets in each other
inline constexpr std::size_t kMaxSource = std::size_t{1} << 20;  // bytes

/// Walks over a text by characters.
class SourceReader {
 public:
  /// `what`: "grammar", "regular expression". Error(bad_input): too long, or not UTF-8.
  SourceReader(std::string_view source, const char* what) : source_(source), what_(what) {
    if (source.size() > kMaxSource) {
      bad_input("{}: {} bytes, at most {} were expected", what, source.size(), kMaxSource);
    }
    if (!is_valid_utf8(source)) bad_input("{}: not UTF-8", what);
  }

  bool at_end() const { return at_ >= source_.size(); }
  bool starts_with(std::string_view text) const { return source_.substr(at_).starts_with(text); }
  bool skip(std::string_view text) {
    if (!starts_with(text)) return false;
    at_ += text.size();
    return true;
  }
  /// 0 at the end.
  char peek() const { return at_end() ? '\0' : source_[at_]; }
  char32_t take() {
    if (at_end()) refuse("ends too early");
    return next_point(source_, at_);
  }
  std::size_t place() const { return at_; }
  void go_back(std::size_t place) { at_ = place; }

  /// Digits as a number, at most 9 of them; -1 when there is none.
  std::int64_t number() {
    std::int64_t value = -1;
    for (int digits = 0; !at_end() && peek() >= '0' && peek() <= '9'; ++digits, ++at_) {
      if (digits == 9) refuse("has a number of more than 9 digits");
      value = std::max<std::int64_t>(value, 0) * 10 + (peek() - '0');
    }
    return value;
  }
  /// Exactly `digits` of them as a code point.
  char32_t hex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) refuse(fmt::format("needs {} hexadecimal digits here", digits));
      value = value * 16 + static_cast<char32_t>(digit);
      ++at_;
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      refuse("names a code point that is no character");
    }
    return value;
  }
  /// Whether `{` stands here with counts behind it; then they are read. `high` -1: no limit.
  bool counts(std::int64_t& low, std::int64_t& high) {
    const std::size_t start = at_;
    if (!skip("{")) return false;
    low = number();
    high = low;
    const bool has_comma = skip(",");
    if (has_comma) high = number();
    if (!skip("}") || (low < 0 && high < 0)) {
      at_ = start;
      return false;
    }
    low = std::max<std::int64_t>(low, 0);
    if (high >= 0 && high < low) refuse("has counts out of order");
    return true;
  }

  [[noreturn]] void refuse(const std::string& problem) const {
    std::size_t line = 1;
    std::size_t column = 1;
    for (const char c : source_.substr(0, at_)) {
      ++column;
      if (c == '\n') ++line, column = 1;
    }
    bad_input("{}, line {}, column {}: {}", what_, line, column, problem);
  }

 private:
  std::string_view source_;
  const char* what_;
  std::size_t at_ = 0;
};

/// What stands between `|`, each read by `sequence`; `depth` groups are open around it.
template <typename Sequence>
Grammar::Node choice_of(Grammar& grammar, SourceReader& in, int depth, const Sequence& sequence) {
  if (depth > kMaxGroups) in.refuse(fmt::format("groups nest deeper than {}", kMaxGroups));
  std::vector<Grammar::Node> choices;
  do choices.push_back(sequence());
  while (in.skip("|"));
  return grammar.choice(std::move(choices));
}

}  // namespace tenon::text::grammar
