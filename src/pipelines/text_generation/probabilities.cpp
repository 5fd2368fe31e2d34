// Scores to probabilities.
#include "pipelines/text_generation/probabilities.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace tenon::pipelines {

double log_sum_exp(std::span<const float> scores) {
  float highest = -std::numeric_limits<float>::infinity();
  for (const float score : scores) highest = std::max(highest, score);
  if (std::isinf(highest)) return highest;
  double sum = 0;
  for (const float score : scores) {
    sum += std::exp(static_cast<double>(score) - static_cast<double>(highest));
  }
  return static_cast<double>(highest) + std::log(sum);
}

void log_softmax(std::span<float> scores) {
  const double total = log_sum_exp(scores);
  for (float& score : scores) score = static_cast<float>(static_cast<double>(score) - total);
}

std::vector<double> softmax(std::span<const float> scores) {
  const double total = log_sum_exp(scores);
  std::vector<double> probabilities(scores.size());
  std::transform(scores.begin(), scores.end(), probabilities.begin(),
                 [&](float score) { return std::exp(static_cast<double>(score) - total); });
  return probabilities;
}

std::int32_t argmax(std::span<const float> scores) {
  // A maximum of several lanes and a search for it: the loop of max_element cannot be vectorised.
  constexpr std::size_t kLanes = 32;
  std::array<float, kLanes> lanes;
  lanes.fill(-std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + kLanes <= scores.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      lanes[lane] = lanes[lane] < scores[i + lane] ? scores[i + lane] : lanes[lane];
  }
  float highest = *std::max_element(lanes.begin(), lanes.end());
  for (; i < scores.size(); ++i) highest = std::max(highest, scores[i]);
  const auto found = std::find(scores.begin(), scores.end(), highest);
  return found == scores.end() ? 0 : static_cast<std::int32_t>(found - scores.begin());
}

std::vector<std::int64_t> top_indices(std::span<const float> scores, std::int64_t count) {
  count = std::min(count, static_cast<std::int64_t>(scores.size()));
  const auto better = [&](std::int64_t a, std::int64_t b) {
    const float x = scores[static_cast<std::size_t>(a)];
    const float y = scores[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  };
  // A heap whose top is the worst index kept: one pass over scores that are mostly refused.
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(scores.size()); ++i) {
    if (static_cast<std::int64_t>(kept.size()) < count) {
      kept.push_back(i);
      std::push_heap(kept.begin(), kept.end(), better);
    } else if (count > 0 && better(i, kept.front())) {
      std::pop_heap(kept.begin(), kept.end(), better);
      kept.back() = i;
      std::push_heap(kept.begin(), kept.end(), better);
    }
  }
  std::sort(kept.begin(), kept.end(), better);
  return kept;
}

}  // namespace tenon::pipelines
