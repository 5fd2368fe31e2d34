// Drawing tokens from scores.
#include "pipelines/text_generation/sampler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "pipelines/text_generation/probabilities.h"

namespace tenon::pipelines {
namespace {

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;  // 2^64 / the golden ratio

std::uint64_t mixed(std::uint64_t value) {
  value += kGolden;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

}  // namespace

std::uint64_t RandomNumbers::bits(std::uint64_t sequence, std::uint64_t position,
                                  std::uint64_t index) const {
  return mixed(mixed(mixed(mixed(seed_) ^ sequence) ^ position) ^ index);
}

double RandomNumbers::uniform(std::uint64_t sequence, std::uint64_t position,
                              std::uint64_t index) const {
  return static_cast<double>(bits(sequence, position, index) >> 11) * 0x1p-53;
}

std::int32_t draw(std::span<const float> scores, double uniform) {
  const float highest = highest_of(scores);
  if (std::isinf(highest)) return argmax(scores);
  std::array<float, kWeightBlock> buffer;
  const auto weights_of = [&](std::size_t block) {
    const std::size_t begin = block * kWeightBlock;
    const std::size_t size = std::min(kWeightBlock, scores.size() - begin);
    weights_below(highest, scores.subspan(begin, size), buffer);
    return std::span<const float>(buffer.data(), size);
  };
  std::vector<double> sums((scores.size() + kWeightBlock - 1) / kWeightBlock);
  for (std::size_t block = 0; block < sums.size(); ++block) sums[block] = sum_of(weights_of(block));
  const double target = uniform * std::accumulate(sums.begin(), sums.end(), 0.0);

  // The last that is possible takes what rounding leaves over, of the blocks and within one.
  double below = 0;
  double before = 0;
  std::size_t chosen = 0;
  for (std::size_t block = 0; block < sums.size() && below <= target; ++block) {
    if (sums[block] <= 0) continue;
    chosen = block;
    before = below;
    below += sums[block];
  }
  below = before;
  const std::span<const float> weights = weights_of(chosen);
  std::size_t id = 0;
  for (std::size_t i = 0; i < weights.size() && below <= target; ++i) {
    if (weights[i] <= 0) continue;
    id = i;
    below += static_cast<double>(weights[i]);
  }
  return static_cast<std::int32_t>(chosen * kWeightBlock + id);
}

std::vector<std::int64_t> draw_without_replacement(std::span<const float> scores,
                                                   std::int64_t count, const RandomNumbers& numbers,
                                                   std::uint64_t position) {
  // The Gumbel-top-k trick: the largest of score + Gumbel noise are such draws, in their order.
  std::vector<float> keys(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (std::isinf(scores[i])) {
      keys[i] = scores[i];
      continue;
    }
    const double uniform = numbers.uniform(0, position, i) + 0x1p-54;  // never 0
    keys[i] = static_cast<float>(static_cast<double>(scores[i]) - std::log(-std::log(uniform)));
  }
  return top_indices(keys, count);
}

TokenLogprobs token_logprobs(std::span<const float> logits, std::int32_t chosen, std::int64_t top) {
  const double total = log_sum_exp(logits);
  const auto entry = [&](std::int64_t id) {
    return TokenLogprob{static_cast<std::int32_t>(id),
                        static_cast<double>(logits[static_cast<std::size_t>(id)]) - total};
  };
  TokenLogprobs result{entry(chosen), {}};
  for (const std::int64_t id : top_indices(logits, top)) result.top.push_back(entry(id));
  return result;
}

}  // namespace tenon::pipelines
