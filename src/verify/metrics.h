// How far apart the logits of two runs are, counted position by position in bounded memory.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace tenon::verify {

/// Of A (what is right) and B. All natural logarithms. With a NaN or infinity on either side
/// `finite` is false and what it enters is infinite.
struct Metrics {
  double max_abs = 0;      ///< largest |a - b|
  double mean_abs = 0;     ///< mean |a - b|
  double relative_l2 = 0;  ///< |a - b| / |a|, Euclidean, over all logits
  double mean_kl = 0;      ///< KL(A || B) of the next token, mean over positions
  double max_kl = 0;
  double top1_agreement = 1;  ///< share of positions whose largest logit is the same token
  double perplexity_a = 0;    ///< of the prompts' own tokens; 0 when no prompt has two tokens
  double perplexity_b = 0;
  std::int64_t positions = 0;
  std::int64_t top1_disagreements = 0;
  std::int64_t first_diverging_prompt = -1;  ///< where the largest logit first is another token
  std::int64_t first_diverging_position = -1;
  bool finite = true;
};

/// One prompt's share.
struct PromptMetrics {
  std::int64_t tokens = 0;
  double max_abs = 0;
  double mean_kl = 0;
  std::int64_t worst_position = 0;  ///< of the largest KL; the first one that is not finite
  std::int64_t top1_disagreements = 0;
  bool finite = true;
};

/// Decades of |a - b| from 1e-9 up to 1e3; below and above are counted in the outer ones.
inline constexpr int kHistogramLowest = -9;
inline constexpr std::size_t kHistogramBinsPerDecade = 4;
using Histogram = std::array<std::int64_t, 12 * kHistogramBinsPerDecade>;

class Accumulator {
 public:
  /// Logits [tokens, vocabulary] float32 of equal shape. `ids` are the tokens, or empty when they
  /// do not follow one another, which leaves the perplexity alone.
  void add(const TensorView& a, const TensorView& b, std::span<const std::int32_t> ids);

  Metrics result() const;
  const std::vector<PromptMetrics>& prompts() const { return prompts_; }
  /// KL of every position, prompts one after the other.
  const std::vector<float>& kl_series() const { return kl_series_; }
  const Histogram& histogram() const { return histogram_; }

 private:
  struct Position {
    double kl = 0;
    double max_abs = 0;
    std::size_t top_a = 0;
    std::size_t top_b = 0;
    double log_sum_a = 0;  // of exponentials
    double log_sum_b = 0;
    bool finite = true;
  };
  Position compare(std::span<const float> a, std::span<const float> b);

  Metrics sums_;
  double sum_abs_ = 0;
  double sum_squares_ = 0;
  double sum_squares_a_ = 0;
  double sum_kl_ = 0;
  double loss_a_ = 0;
  double loss_b_ = 0;
  std::int64_t losses_ = 0;
  std::int64_t elements_ = 0;
  std::vector<PromptMetrics> prompts_;
  std::vector<float> kl_series_;
  Histogram histogram_{};
};

}  // namespace tenon::verify
