// What the schedulers over sigmas share: samples whose signal keeps its size while the noise has
// the deviation sigma (Karras et al. 2022).
#pragma once

#include <span>
#include <vector>

#include "pipelines/text_to_image/schedulers/scheduler.h"
#include "pipelines/text_to_image/schedulers/sigma_spacing.h"

namespace tenon::pipelines {

class SigmaScheduler : public Scheduler {
 public:
  bool integer_timesteps() const override { return false; }
  float init_noise_sigma() const override;
  void scale_model_input(std::span<float> sample, std::size_t index) const override;
  void add_noise(std::span<const float> original, std::span<const float> noise, std::size_t index,
                 std::span<float> out) const override;

 protected:
  SigmaScheduler(SchedulerConfig config, TerminalSnr terminal);

  /// The noise level before each model call, and after the last.
  std::vector<float> sigmas_;
  std::vector<float> alphas_;
  TrainingSigmas training_;
};

/// The levels of `plan` in float32, with `last` behind.
std::vector<float> sigma_levels(const SigmaPlan& plan, float last);
/// As float32, the type in which most of diffusers' schedulers hold timesteps.
std::vector<double> rounded_to_float(std::vector<double> timesteps);

}  // namespace tenon::pipelines
