// The shape of the distribution that is drawn from.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

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

/// Scores by their distance below the highest, so that a threshold is found without sorting a whole
/// vocabulary: level 0 is the likeliest, the last takes all that is further down. Removed scores
/// are in none.
class Levels {
 public:
  explicit Levels(std::span<const float> scores) : highest_(highest_of(scores)) {
    std::array<float, kWeightBlock> weights;
    for (std::size_t begin = 0; begin < scores.size(); begin += kWeightBlock) {
      const auto block = scores.subspan(begin, std::min(kWeightBlock, scores.size() - begin));
      weights_below(highest_, block, weights);
      for (std::size_t i = 0; i < block.size(); ++i) {
        if (block[i] == kRemoved) continue;
        const std::size_t level = of(block[i]);
        mass_[level] += static_cast<double>(weights[i]);
        ++count_[level];
      }
    }
  }
  static constexpr std::size_t kCount = 512;  ///< 32 units below the highest: e^-32 is nothing
  std::size_t of(float score) const {
    const float level = (highest_ - score) * kPerUnit;
    return level < static_cast<float>(kCount - 1) ? static_cast<std::size_t>(level) : kCount - 1;
  }
  double mass(std::size_t level) const { return mass_[level]; }
  std::int64_t count(std::size_t level) const { return count_[level]; }
  double weight(float score) const {
    return std::exp(static_cast<double>(score) - static_cast<double>(highest_));
  }

 private:
  static constexpr float kPerUnit = 16;
  float highest_;
  std::array<double, kCount> mass_{};
  std::array<std::int64_t, kCount> count_{};
};

/// Removes from the unlikely end while what is removed sums to at most 1 - mass.
void keep_top_p(double mass, std::int64_t min_kept, std::span<float> scores) {
  const Levels levels(scores);
  double total = 0;
  std::int64_t removable = -min_kept;
  for (std::size_t level = 0; level < Levels::kCount; ++level) {
    total += levels.mass(level);
    removable += levels.count(level);
  }
  double left = (1 - mass) * total;
  std::size_t edge = Levels::kCount - 1;
  for (; edge > 0 && levels.mass(edge) <= left && levels.count(edge) <= removable; --edge) {
    left -= levels.mass(edge);
    removable -= levels.count(edge);
  }
  std::vector<std::size_t> on_edge;
  for (std::size_t id = 0; id < scores.size(); ++id) {
    if (scores[id] == kRemoved) continue;
    const std::size_t level = levels.of(scores[id]);
    if (level > edge) scores[id] = kRemoved;
    if (level == edge) on_edge.push_back(id);
  }
  std::stable_sort(on_edge.begin(), on_edge.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  for (const std::size_t id : on_edge) {
    left -= levels.weight(scores[id]);
    if (left < 0 || removable-- <= 0) break;
    scores[id] = kRemoved;
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
