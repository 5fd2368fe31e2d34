// Regular expressions of tokenizer files, with the meaning that Oniguruma gives them there.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::text {

/// Bytes [begin, end) of a text.
struct Span {
  std::size_t begin;
  std::size_t end;
  bool operator==(const Span&) const = default;
};

/// A compiled pattern or a literal string. Immutable, any number of threads.
class Pattern {
 public:
  /// Error(bad_input) names what is not valid or not supported.
  static Pattern regex(std::string_view source);
  static Pattern literal(std::string text);
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  /// All matches in valid UTF-8, left to right, none overlapping. Error(bad_input) when matching
  /// takes unreasonably many steps or seconds.
  std::vector<Span> find_all(std::string_view text) const;
  /// The text with every match replaced.
  std::string replace_all(std::string_view text, std::string_view content) const;

 private:
  struct Compiled;
  Pattern() = default;
  std::unique_ptr<Compiled> compiled_;  // none for a literal
  std::string literal_;
};

/// Rewrites a pattern in Oniguruma's Ruby syntax for PCRE2 (options UTF, UCP, MULTILINE): character
/// classes written out where the two disagree. Error(bad_input) for what has no equal.
std::string translate_regex(std::string_view source);

}  // namespace tenon::text
