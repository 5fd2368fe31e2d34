// What the solvers of the DPM family and UniPC share.
#include "pipelines/text_to_image/schedulers/solver_scheduler.h"

#include "pipelines/text_to_image/schedulers/sigma_scheduler.h"

namespace tenon::pipelines {

SolverScheduler::SolverScheduler(SchedulerConfig config, TerminalSnr terminal)
    : Scheduler(std::move(config)),
      alphas_(cumulative_alphas(this->config(), terminal)),
      training_(training_sigmas(alphas_)) {}

void SolverScheduler::add_noise(std::span<const float> original, std::span<const float> noise,
                                std::size_t index, std::span<float> out) const {
  const Level at = level(begin() + index);
  mix_into({at.alpha, at.sigma}, original, noise, out);
}

void SolverScheduler::take_plan(const SigmaPlan& plan, float last_sigma) {
  sigmas_ = sigma_levels(plan, last_sigma);
  timesteps_ = plan.timesteps;
  outputs_.clear();
}

Level SolverScheduler::level(std::size_t at) const {
  const float ratio = sigmas_[at];
  const float alpha = 1.0F / std::sqrt(ratio * ratio + 1.0F);
  const float sigma = ratio * alpha;
  return {alpha, sigma, std::log(alpha) - std::log(sigma)};
}

std::vector<float> SolverScheduler::converted(bool of_clean, std::span<const float> model_output,
                                              std::size_t at, std::span<const float> sample) const {
  const Level here = level(at);
  const Mix mix{here.alpha, here.sigma};
  const auto images = static_cast<std::size_t>(request().images);
  const PredictionType type = config().prediction_type;
  if (of_clean) {
    std::vector<float> clean = clean_of(type, mix, model_output, sample);
    if (config().thresholding) threshold(config(), clean, images);
    return clean;
  }
  std::vector<float> epsilon = epsilon_of(type, mix, model_output, sample);
  if (!config().thresholding) return epsilon;
  std::vector<float> clean = clean_of(PredictionType::epsilon, mix, epsilon, sample);
  threshold(config(), clean, images);
  return epsilon_of(PredictionType::sample, mix, clean, sample);
}

void SolverScheduler::remember(std::vector<float> output) {
  outputs_.push_back(std::move(output));
  if (outputs_.size() > static_cast<std::size_t>(config().solver_order)) {
    outputs_.erase(outputs_.begin());
  }
}

void combine(std::span<const Term> terms, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    float sum = terms[0].weight * terms[0].values[i];
    for (std::size_t k = 1; k < terms.size(); ++k) sum += terms[k].weight * terms[k].values[i];
    out[i] = sum;
  }
}

}  // namespace tenon::pipelines
