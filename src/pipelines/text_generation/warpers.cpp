// The shape of the distribution that is drawn from.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "pipelines/text_generation/probabilities.h"
#include "pipelines/text_generation/processors.h"

namespace tenon::pipelines {
namespace {

constexpr float kRemoved = -std::numeric_limits<float>::infinity();

/// Ids that are still in play; on large vocabularies few are after top_k.
std::vector<std::size_t> remaining(std::span<const float> scores) {
  std::vector<std::size_t> ids;
  for (std::size_t id = 0; id < scores.size(); ++id) {
    if (scores[id] != kRemoved) ids.push_back(id);
  }
  return ids;
}

/// The `count`-th highest score.
float nth_highest(std::span<const float> scores, std::int64_t count) {
  const auto top = top_indices(scores, count);
  return top.empty() ? kRemoved : scores[static_cast<std::size_t>(top.back())];
}

void keep_top_k(std::int64_t count, std::span<float> scores) {
  if (count >= static_cast<std::int64_t>(scores.size())) return;
  const float lowest = nth_highest(scores, count);
  for (float& score : scores) {
    if (score < lowest) score = kRemoved;
  }
}

/// Removes from the unlikely end while what is removed sums to at most 1 - mass.
void keep_top_p(double mass, std::int64_t min_kept, std::span<float> scores) {
  std::vector<std::size_t> ids = remaining(scores);
  std::stable_sort(ids.begin(), ids.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  const double total = log_sum_exp(scores);
  const auto removable = static_cast<std::int64_t>(ids.size()) - min_kept;
  double removed = 0;
  for (std::int64_t i = 0; i < removable; ++i) {
    float& score = scores[ids[static_cast<std::size_t>(i)]];
    removed += std::exp(static_cast<double>(score) - total);
    if (removed > 1 - mass) break;
    score = kRemoved;
  }
}

/// Removes what is less likely than `factor` times the likeliest token.
void keep_min_p(double factor, std::int64_t min_kept, std::span<float> scores) {
  if (factor <= 0) return;
  const float highest = scores[static_cast<std::size_t>(argmax(scores))];
  const float kept = nth_highest(scores, min_kept);
  const double threshold = static_cast<double>(highest) + std::log(factor);
  for (float& score : scores) {
    if (static_cast<double>(score) < threshold && score < kept) score = kRemoved;
  }
}

double entropy(std::span<const float> scores) {
  const double total = log_sum_exp(scores);
  double sum = 0;
  for (const float score : scores) {
    if (score == kRemoved) continue;
    const double log_probability = static_cast<double>(score) - total;
    sum -= log_probability * std::exp(log_probability);
  }
  return sum;
}

/// Keeps the tokens whose surprise is nearest to the entropy, up to `mass`.
void keep_typical(double mass, std::int64_t min_kept, std::span<float> scores) {
  const double total = log_sum_exp(scores);
  const double expected = entropy(scores);
  const std::vector<std::size_t> ids = remaining(scores);
  if (ids.empty()) return;
  std::vector<double> distance(scores.size());
  for (const std::size_t id : ids) {
    distance[id] = std::abs(total - static_cast<double>(scores[id]) - expected);
  }
  std::vector<std::size_t> order = ids;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return distance[a] < distance[b]; });
  double sum = 0;
  std::size_t last = 0;
  for (; last + 1 < order.size(); ++last) {
    sum += std::exp(static_cast<double>(scores[order[last]]) - total);
    if (sum >= mass) break;
  }
  const double limit = distance[order[last]];
  for (std::size_t i = static_cast<std::size_t>(min_kept); i < order.size(); ++i) {
    if (distance[order[i]] > limit) scores[order[i]] = kRemoved;
  }
}

/// Removes what is less likely than `threshold`.
void keep_likely(double threshold, std::int64_t min_kept, std::span<float> scores) {
  const double limit = log_sum_exp(scores) + std::log(threshold);
  const float kept = nth_highest(scores, min_kept);
  for (float& score : scores) {
    if (static_cast<double>(score) < limit && score < kept) score = kRemoved;
  }
}

}  // namespace

void apply_warpers(const GenerationConfig& config, std::int64_t min_tokens_to_keep,
                   std::span<float> scores) {
  if (!config.samples()) return;
  if (config.temperature != 1) {
    for (float& score : scores) score /= static_cast<float>(config.temperature);
  }
  if (config.top_k > 0) keep_top_k(std::max(config.top_k, min_tokens_to_keep), scores);
  if (config.top_p < 1) keep_top_p(config.top_p, min_tokens_to_keep, scores);
  if (config.min_p) keep_min_p(*config.min_p, min_tokens_to_keep, scores);
  if (config.typical_p < 1) keep_typical(config.typical_p, min_tokens_to_keep, scores);
  if (config.epsilon_cutoff > 0 && config.epsilon_cutoff < 1) {
    keep_likely(config.epsilon_cutoff, min_tokens_to_keep, scores);
  }
  if (config.eta_cutoff > 0 && config.eta_cutoff < 1) {
    const double threshold =
        std::min(config.eta_cutoff, std::sqrt(config.eta_cutoff) * std::exp(-entropy(scores)));
    keep_likely(threshold, min_tokens_to_keep, scores);
  }
}

}  // namespace tenon::pipelines
