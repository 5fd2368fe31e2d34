// Scores to probabilities; sums are in double, so that the order of a large vocabulary is no
// matter. Scores are logits: any float but NaN, -infinity for what is impossible.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tenon::pipelines {

/// The highest score; -infinity for none.
float highest_of(std::span<const float> scores);
/// weights[i] = exp(scores[i] - highest), which is at most 1: within 3 units in the last place of a
/// float, and 0 below exp(-87). As many weights as scores.
void weights_below(float highest, std::span<const float> scores, std::span<float> weights);
/// A block of weights that is worth keeping in the first cache.
inline constexpr std::size_t kWeightBlock = 512;
/// The sum of weights, in double.
double sum_of(std::span<const float> weights);

/// log(sum(exp(scores))), in double. A row without any finite score gives -infinity.
double log_sum_exp(std::span<const float> scores);
/// scores - log_sum_exp(scores), rounded to float once.
void log_softmax(std::span<float> scores);
/// exp of log_softmax.
std::vector<double> softmax(std::span<const float> scores);
/// The index of the highest score, the first of equal ones.
std::int32_t argmax(std::span<const float> scores);
/// Indices of the `count` highest scores, best first, the lower index first among equal ones.
std::vector<std::int64_t> top_indices(std::span<const float> scores, std::int64_t count);

}  // namespace tenon::pipelines
