// What the solvers of the DPM family and UniPC share: levels as signal, noise and log-SNR, and a
// short history of the model's converted outputs.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "pipelines/text_to_image/schedulers/prediction.h"
#include "pipelines/text_to_image/schedulers/scheduler.h"
#include "pipelines/text_to_image/schedulers/sigma_spacing.h"

namespace tenon::pipelines {

/// A noise level: sample = alpha * clean + sigma * noise with alpha^2 + sigma^2 = 1, and lambda =
/// log(alpha / sigma), which is infinite where there is no noise.
struct Level {
  float alpha;
  float sigma;
  float lambda;
};

class SolverScheduler : public Scheduler {
 public:
  bool integer_timesteps() const override { return true; }
  void add_noise(std::span<const float> original, std::span<const float> noise, std::size_t index,
                 std::span<float> out) const override;

 protected:
  SolverScheduler(SchedulerConfig config, TerminalSnr terminal);

  /// Fills timesteps_ and sigmas_ and forgets the history.
  void take_plan(const SigmaPlan& plan, float last_sigma);
  Level level(std::size_t at) const;

  /// The clean sample of the model's output (`of_clean`) or its noise, with thresholding.
  std::vector<float> converted(bool of_clean, std::span<const float> model_output, std::size_t at,
                               std::span<const float> sample) const;
  /// Keeps solver_order outputs.
  void remember(std::vector<float> output);
  /// The output `age` calls ago, 0 the newest; known_outputs() of them are there.
  std::span<const float> output(std::size_t age) const {
    return outputs_[outputs_.size() - 1 - age];
  }
  std::size_t known_outputs() const { return outputs_.size(); }

  std::vector<float> sigmas_;
  std::vector<float> alphas_;
  TrainingSigmas training_;

 private:
  std::vector<std::vector<float>> outputs_;  // newest last
};

/// One term of a linear combination of arrays.
struct Term {
  float weight;
  std::span<const float> values;
};

/// out = sum of the terms, added in their order in float32. `out` may be one of them.
void combine(std::span<const Term> terms, std::span<float> out);

}  // namespace tenon::pipelines
