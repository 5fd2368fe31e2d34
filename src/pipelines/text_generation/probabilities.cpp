// Scores to probabilities.
#include "pipelines/text_generation/probabilities.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

namespace tenon::pipelines {

namespace {

constexpr std::size_t kLanes = 32;

/// e^x for x <= 0, within 2 units in the last place; 0 below -87, where a float runs out of
/// exponents. No branch and no call, so that loops over it become vector code.
float exp_of_negative(float x) {
  constexpr float kInverseLog2 = 1.44269504F;
  constexpr float kLog2High = 0.693359375F;  // 9 bits: a multiple of it by n is exact
  constexpr float kLog2Low = -2.12194440e-4F;
  constexpr float kToInteger = 0x1.8p23F;  // added, it leaves the rounded value in the low bits
  const float clamped = x < -87.0F ? -87.0F : x;
  const float shifted = clamped * kInverseLog2 + kToInteger;
  const float n = shifted - kToInteger;
  const float r = clamped - n * kLog2High - n * kLog2Low;
  // Taylor's series over |r| <= log(2) / 2: what is left out is below 2^-26.
  float sum = 1.0F / 5040;
  sum = sum * r + 1.0F / 720;
  sum = sum * r + 1.0F / 120;
  sum = sum * r + 1.0F / 24;
  sum = sum * r + 1.0F / 6;
  sum = sum * r + 0.5F;
  sum = sum * r + 1.0F;
  sum = sum * r + 1.0F;
  const auto exponent = std::bit_cast<std::uint32_t>(shifted) + 127U;
  const float power = std::bit_cast<float>(exponent << 23U);
  return x < -87.0F ? 0.0F : sum * power;
}

}  // namespace

float highest_of(std::span<const float> scores) {
  // Several lanes: the loop of max_element cannot be vectorised.
  std::array<float, kLanes> lanes;
  lanes.fill(-std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + kLanes <= scores.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      lanes[lane] = lanes[lane] < scores[i + lane] ? scores[i + lane] : lanes[lane];
  }
  float highest = *std::max_element(lanes.begin(), lanes.end());
  for (; i < scores.size(); ++i) highest = std::max(highest, scores[i]);
  return highest;
}

void weights_below(float highest, std::span<const float> scores, std::span<float> weights) {
  for (std::size_t i = 0; i < scores.size(); ++i) weights[i] = exp_of_negative(scores[i] - highest);
}

double sum_of(std::span<const float> weights) {
  constexpr std::size_t kSums = 8;
  std::array<double, kSums> sums{};
  std::size_t i = 0;
  for (; i + kSums <= weights.size(); i += kSums) {
    for (std::size_t lane = 0; lane < kSums; ++lane)
      sums[lane] += static_cast<double>(weights[i + lane]);
  }
  double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  for (; i < weights.size(); ++i) sum += static_cast<double>(weights[i]);
  return sum;
}

double log_sum_exp(std::span<const float> scores) {
  const float highest = highest_of(scores);
  if (std::isinf(highest)) return highest;
  // In double, unlike weights_below: what is reported as a logprob is exact to its last digit.
  const double sum =
      std::accumulate(scores.begin(), scores.end(), 0.0, [&](double total, float score) {
        return total + std::exp(static_cast<double>(score) - static_cast<double>(highest));
      });
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
  const auto found = std::find(scores.begin(), scores.end(), highest_of(scores));
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
