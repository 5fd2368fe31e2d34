// What the model's output says of the clean sample, and how it is kept in range.
#pragma once

#include <span>
#include <vector>

#include "pipelines/text_to_image/schedulers/scheduler_config.h"

namespace tenon::pipelines {

/// sample = signal * clean + noise * epsilon.
struct Mix {
  float signal;
  float noise;
};

/// The clean sample, for samples of variance 1 (signal^2 + noise^2 = 1).
std::vector<float> clean_of(PredictionType type, Mix mix, std::span<const float> model_output,
                            std::span<const float> sample);
/// The noise in the sample, as above.
std::vector<float> epsilon_of(PredictionType type, Mix mix, std::span<const float> model_output,
                              std::span<const float> sample);
/// The clean sample, for samples whose signal is not scaled: sample = clean + sigma * epsilon.
std::vector<float> clean_of_unscaled(PredictionType type, float sigma,
                                     std::span<const float> model_output,
                                     std::span<const float> sample);

void clip(std::span<float> sample, double range);

/// Dynamic thresholding (Saharia et al. 2022, section 2.3): every image is clipped to the quantile
/// dynamic_thresholding_ratio of its absolute values, held between 1 and sample_max_value, and
/// divided by it.
void threshold(const SchedulerConfig& config, std::span<float> sample, std::size_t images);

/// threshold, or clip by clip_sample, or nothing, as the config says.
void restrain(const SchedulerConfig& config, std::span<float> sample, std::size_t images);

/// out = signal * original + noise * value, element by element.
void mix_into(Mix mix, std::span<const float> original, std::span<const float> noise,
              std::span<float> out);

/// sample / sqrt(sigma^2 + 1), in place.
void scale_to_unit_variance(std::span<float> sample, float sigma);

/// Refuses prediction_type "sample" for the schedulers that diffusers does not offer it with.
void require_epsilon_or_velocity(const SchedulerConfig& config, const char* scheduler);

}  // namespace tenon::pipelines
