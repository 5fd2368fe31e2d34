// Weights inside a prompt: `(word)`, `((word))`, `(word:1.3)`, `[word]`, and `\(` for the
// character.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tenon::pipelines {

struct WeightedText {
  std::string text;
  double weight = 1;
  bool operator==(const WeightedText&) const = default;
};

/// The usual convention of prompt languages: `(a)` times 1.1, `[a]` divided by 1.1, `(a:1.3)` times
/// 1.3, nested ones multiply, `\(`, `\)`, `\[`, `\]` and `\\` are characters. A bracket that is
/// never closed weighs to the end; one that was never opened is a character. Neighbours of equal
/// weight are joined. Never empty: an empty prompt is one empty text of weight 1. Time linear in
/// length and depth; Error(usage) beyond 1000 levels and for weights outside of [0, 100].
std::vector<WeightedText> parse_prompt_weights(std::string_view prompt);

}  // namespace tenon::pipelines
