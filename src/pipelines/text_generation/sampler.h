// Drawing tokens from scores, reproducibly.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tenon::pipelines {

/// A counter-based generator: the number depends on seed, sequence and position alone, so that a
/// draw does not change with what else runs in the batch. The counters are mixed in one after the
/// other by the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
class RandomNumbers {
 public:
  explicit RandomNumbers(std::uint64_t seed) : seed_(seed) {}
  std::uint64_t bits(std::uint64_t sequence, std::uint64_t position, std::uint64_t index = 0) const;
  /// In [0, 1), a multiple of 2^-53.
  double uniform(std::uint64_t sequence, std::uint64_t position, std::uint64_t index = 0) const;

 private:
  std::uint64_t seed_;
};

/// One id, drawn with the probabilities softmax(scores); `uniform` in [0, 1) decides which.
std::int32_t draw(std::span<const float> scores, double uniform);

/// `count` different indices drawn without replacement from softmax(scores), in the order of the
/// draws. Impossible indices (-infinity) come last, when there are no others.
std::vector<std::int64_t> draw_without_replacement(std::span<const float> scores,
                                                   std::int64_t count, const RandomNumbers& numbers,
                                                   std::uint64_t position);

struct TokenLogprob {
  std::int32_t id = 0;
  double logprob = 0;
};
struct TokenLogprobs {
  TokenLogprob chosen;
  std::vector<TokenLogprob> top;  ///< the likeliest, best first; may hold the chosen one
};
/// `logits`: the model's own, before any processing.
TokenLogprobs token_logprobs(std::span<const float> logits, std::int32_t chosen, std::int64_t top);

}  // namespace tenon::pipelines
