// Drawing tokens from scores.
#include "pipelines/text_generation/sampler.h"

#include <cmath>
#include <limits>

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
  const std::vector<double> probabilities = softmax(scores);
  double sum = 0;
  for (const double probability : probabilities) sum += probability;
  const double target = uniform * sum;
  double below = 0;
  std::int32_t last = argmax(scores);
  for (std::size_t id = 0; id < probabilities.size(); ++id) {
    if (probabilities[id] <= 0) continue;
    below += probabilities[id];
    last = static_cast<std::int32_t>(id);
    if (target < below) break;
  }
  return last;
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
