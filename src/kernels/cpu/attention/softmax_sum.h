// The formula of attention for one query: sum_t softmax(score)_t * value_t.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

namespace tenon::kernels::cpu::attention {

/// sum[d] = sum_t exp(score(t) - max) value(t, d) / sum_t exp(score(t) - max). Scores of -inf take
/// no part (their values are not read); when all are, sum is zero. Scores are asked for twice in
/// place of being kept.
template <typename Score, typename Value>
void softmax_sum(std::int64_t tokens, Score score, Value value, std::span<double> sum) {
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  double highest = kNever;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const double s = score(t);
    if (s > highest || std::isnan(s)) highest = s;
  }
  std::fill(sum.begin(), sum.end(), 0.0);
  double total = 0.0;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const double s = score(t);
    if (s == kNever) continue;
    const double weight = std::exp(s - highest);
    total += weight;
    for (std::size_t d = 0; d < sum.size(); ++d) {
      sum[d] += weight * value(t, static_cast<std::int64_t>(d));
    }
  }
  if (total == 0.0) return;
  for (double& element : sum) element /= total;
}

}  // namespace tenon::kernels::cpu::attention
