#include "verify/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace tenon::verify {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::size_t histogram_bin(double difference) {
  constexpr auto kBins = static_cast<double>(std::tuple_size_v<Histogram>);
  if (!(difference > 0)) return 0;
  const double place = (std::log10(difference) - kHistogramLowest) * kHistogramBinsPerDecade;
  return static_cast<std::size_t>(std::clamp(place, 0.0, kBins - 1));
}

double log_sum_exp(std::span<const float> row, float largest) {
  double sum = 0;
  for (const float value : row) sum += std::exp(static_cast<double>(value) - largest);
  return static_cast<double>(largest) + std::log(sum);
}

}  // namespace

Accumulator::Position Accumulator::compare(std::span<const float> a, std::span<const float> b) {
  Position at;
  double magnitude = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) {
      at.finite = false;
      continue;
    }
    if (!(a[i] <= a[at.top_a])) at.top_a = i;
    if (!(b[i] <= b[at.top_b])) at.top_b = i;
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    at.max_abs = std::max(at.max_abs, difference);
    magnitude += static_cast<double>(a[i]) * a[i];
    sum_abs_ += difference;
    sum_squares_ += difference * difference;
    histogram_[histogram_bin(difference)] += 1;
  }
  sum_squares_a_ += magnitude;
  elements_ += static_cast<std::int64_t>(a.size());
  if (!at.finite) {
    at.kl = at.max_abs = at.log_sum_a = at.log_sum_b = kInfinity;
    return at;
  }
  at.log_sum_a = log_sum_exp(a, a[at.top_a]);
  at.log_sum_b = log_sum_exp(b, b[at.top_b]);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double log_a = a[i] - at.log_sum_a;
    at.kl += std::exp(log_a) * (log_a - (b[i] - at.log_sum_b));
  }
  at.kl = std::max(at.kl, 0.0);  // rounding may leave a little less than nothing
  return at;
}

void Accumulator::add(const TensorView& a, const TensorView& b, std::span<const std::int32_t> ids) {
  if (a.shape != b.shape || a.shape.size() != 2) {
    bad_input("logits are {} and {}, expected [tokens, vocabulary] of equal sizes",
              to_string(a.shape), to_string(b.shape));
  }
  const auto tokens = static_cast<std::size_t>(a.shape[0]);
  const auto width = static_cast<std::size_t>(a.shape[1]);
  PromptMetrics prompt;
  prompt.tokens = a.shape[0];
  double worst = -1;
  double sum_kl = 0;
  for (std::size_t t = 0; t < tokens; ++t) {
    const auto row_a = a.as<float>().subspan(t * width, width);
    const auto row_b = b.as<float>().subspan(t * width, width);
    const Position at = compare(row_a, row_b);
    sum_kl += at.kl;
    kl_series_.push_back(static_cast<float>(at.kl));
    if (at.kl > worst) {
      worst = at.kl;
      prompt.worst_position = static_cast<std::int64_t>(t);
    }
    prompt.max_abs = std::max(prompt.max_abs, at.max_abs);
    prompt.finite &= at.finite;
    if (!at.finite || at.top_a != at.top_b) {
      prompt.top1_disagreements += 1;
      if (sums_.first_diverging_prompt < 0) {
        sums_.first_diverging_prompt = static_cast<std::int64_t>(prompts_.size());
        sums_.first_diverging_position = static_cast<std::int64_t>(t);
      }
    }
    if (t + 1 < tokens && t + 1 < ids.size()) {
      const auto next = static_cast<std::size_t>(ids[t + 1]);
      loss_a_ += at.log_sum_a - row_a[next];
      loss_b_ += at.log_sum_b - row_b[next];
      losses_ += 1;
    }
  }
  prompt.mean_kl = tokens == 0 ? 0 : sum_kl / static_cast<double>(tokens);
  sum_kl_ += sum_kl;
  sums_.max_kl = std::max(sums_.max_kl, worst);
  sums_.max_abs = std::max(sums_.max_abs, prompt.max_abs);
  sums_.positions += prompt.tokens;
  sums_.top1_disagreements += prompt.top1_disagreements;
  sums_.finite &= prompt.finite;
  prompts_.push_back(prompt);
}

Metrics Accumulator::result() const {
  Metrics result = sums_;
  if (result.positions == 0) return result;
  const auto positions = static_cast<double>(result.positions);
  result.mean_abs = result.finite ? sum_abs_ / static_cast<double>(elements_) : kInfinity;
  result.relative_l2 = result.finite && sum_squares_a_ > 0
                           ? std::sqrt(sum_squares_ / sum_squares_a_)
                       : sum_squares_ > 0 || !result.finite ? kInfinity
                                                            : 0.0;
  result.mean_kl = sum_kl_ / positions;
  result.top1_agreement = 1.0 - static_cast<double>(result.top1_disagreements) / positions;
  if (losses_ > 0) {
    result.perplexity_a = std::exp(loss_a_ / static_cast<double>(losses_));
    result.perplexity_b = std::exp(loss_b_ / static_cast<double>(losses_));
    if (!result.finite && std::isnan(result.perplexity_b)) result.perplexity_b = kInfinity;
  }
  return result;
}

}  // namespace tenon::verify
