// What the model's output says of the clean sample.
#include "pipelines/text_to_image/schedulers/prediction.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tenon::pipelines {
namespace {

template <typename Function>
std::vector<float> map(std::span<const float> a, std::span<const float> b, Function&& function) {
  std::vector<float> out(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) out[i] = function(a[i], b[i]);
  return out;
}

/// torch.quantile with linear interpolation; reorders `values`.
float quantile(std::span<float> values, double ratio) {
  const float rank = static_cast<float>(ratio) * static_cast<float>(values.size() - 1);
  const auto below = std::min(static_cast<std::size_t>(rank), values.size() - 1);
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(values.begin(), place, values.end());
  if (below + 1 == values.size()) return *place;
  const float above = *std::min_element(place + 1, values.end());
  const float weight = rank - static_cast<float>(below);
  const float width = above - *place;
  return weight < 0.5F ? *place + weight * width : above - width * (1.0F - weight);
}

void threshold_image(const SchedulerConfig& config, std::span<float> image) {
  if (image.empty()) return;
  std::vector<float> magnitudes(image.size());
  std::transform(image.begin(), image.end(), magnitudes.begin(),
                 [](float value) { return std::fabs(value); });
  const float bound =
      std::min(std::max(quantile(magnitudes, config.dynamic_thresholding_ratio), 1.0F),
               static_cast<float>(config.sample_max_value));
  for (float& value : image) value = std::min(std::max(value, -bound), bound) / bound;
}

}  // namespace

std::vector<float> clean_of(PredictionType type, Mix mix, std::span<const float> model_output,
                            std::span<const float> sample) {
  switch (type) {
    case PredictionType::epsilon:
      return map(model_output, sample,
                 [mix](float out, float x) { return (x - mix.noise * out) / mix.signal; });
    case PredictionType::v_prediction:
      return map(model_output, sample,
                 [mix](float out, float x) { return mix.signal * x - mix.noise * out; });
    case PredictionType::sample:
      break;
  }
  return {model_output.begin(), model_output.end()};
}

std::vector<float> epsilon_of(PredictionType type, Mix mix, std::span<const float> model_output,
                              std::span<const float> sample) {
  switch (type) {
    case PredictionType::sample:
      return map(model_output, sample,
                 [mix](float out, float x) { return (x - mix.signal * out) / mix.noise; });
    case PredictionType::v_prediction:
      return map(model_output, sample,
                 [mix](float out, float x) { return mix.signal * out + mix.noise * x; });
    case PredictionType::epsilon:
      break;
  }
  return {model_output.begin(), model_output.end()};
}

std::vector<float> clean_of_unscaled(PredictionType type, float sigma,
                                     std::span<const float> model_output,
                                     std::span<const float> sample) {
  switch (type) {
    case PredictionType::epsilon:
      return map(model_output, sample, [sigma](float out, float x) { return x - sigma * out; });
    case PredictionType::v_prediction: {
      const float variance = sigma * sigma + 1.0F;
      const float factor = -sigma / std::sqrt(variance);
      return map(model_output, sample,
                 [=](float out, float x) { return out * factor + x / variance; });
    }
    case PredictionType::sample:
      break;
  }
  return {model_output.begin(), model_output.end()};
}

void clip(std::span<float> sample, double range) {
  const auto bound = static_cast<float>(range);
  for (float& value : sample) value = std::min(std::max(value, -bound), bound);
}

void threshold(const SchedulerConfig& config, std::span<float> sample, std::size_t images) {
  const std::size_t size = sample.size() / images;
  for (std::size_t i = 0; i < images; ++i) {
    threshold_image(config, sample.subspan(i * size, size));
  }
}

void restrain(const SchedulerConfig& config, std::span<float> sample, std::size_t images) {
  if (config.thresholding) {
    threshold(config, sample, images);
  } else if (config.clip_sample) {
    clip(sample, config.clip_sample_range);
  }
}

void mix_into(Mix mix, std::span<const float> original, std::span<const float> noise,
              std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = mix.signal * original[i] + mix.noise * noise[i];
  }
}

void scale_to_unit_variance(std::span<float> sample, float sigma) {
  const float deviation = std::sqrt(sigma * sigma + 1.0F);
  for (float& value : sample) value /= deviation;
}

void require_epsilon_or_velocity(const SchedulerConfig& config, const char* scheduler) {
  if (config.prediction_type != PredictionType::sample) return;
  bad_input("field \"prediction_type\" is \"sample\", {} takes epsilon or v_prediction", scheduler);
}

}  // namespace tenon::pipelines
