// Scores to probabilities; sums are in double, so that the order of a large vocabulary is no
// matter.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tenon::pipelines {

/// log(sum(exp(scores))). A row without any finite score gives -infinity.
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
