// What the schedulers over sigmas share.
#include "pipelines/text_to_image/schedulers/sigma_scheduler.h"

#include <algorithm>
#include <cmath>

#include "pipelines/text_to_image/schedulers/prediction.h"

namespace tenon::pipelines {

SigmaScheduler::SigmaScheduler(SchedulerConfig config, TerminalSnr terminal)
    : Scheduler(std::move(config)),
      alphas_(cumulative_alphas(this->config(), terminal)),
      training_(training_sigmas(alphas_)) {}

float SigmaScheduler::init_noise_sigma() const {
  const float largest = *std::max_element(sigmas_.begin(), sigmas_.end());
  if (config().timestep_spacing != TimestepSpacing::leading) return largest;
  return std::sqrt(largest * largest + 1.0F);
}

void SigmaScheduler::scale_model_input(std::span<float> sample, std::size_t index) const {
  scale_to_unit_variance(sample, sigmas_[begin() + index]);
}

void SigmaScheduler::add_noise(std::span<const float> original, std::span<const float> noise,
                               std::size_t index, std::span<float> out) const {
  mix_into({1, sigmas_[begin() + index]}, original, noise, out);
}

std::vector<float> sigma_levels(const SigmaPlan& plan, float last) {
  std::vector<float> levels;
  for (const double sigma : plan.sigmas) levels.push_back(static_cast<float>(sigma));
  levels.push_back(last);
  return levels;
}

std::vector<double> rounded_to_float(std::vector<double> timesteps) {
  for (double& t : timesteps) t = static_cast<double>(static_cast<float>(t));
  return timesteps;
}

}  // namespace tenon::pipelines
