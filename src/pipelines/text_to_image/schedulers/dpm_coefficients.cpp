// The weights of one step of the DPM solvers.
#include "pipelines/text_to_image/schedulers/dpm_coefficients.h"

#include <cmath>

#include "base/error.h"

namespace tenon::pipelines {

// The terms stand in diffusers' order: float32 rounds differently in another.
DpmCoefficients dpm_coefficients(DpmAlgorithm algorithm, const Level& from, const Level& to) {
  const float h = to.lambda - from.lambda;
  DpmCoefficients c{};
  switch (algorithm) {
    case DpmAlgorithm::dpmsolver_pp: {
      const float phi = std::exp(-h) - 1.0F;
      c.sample = to.sigma / from.sigma;
      c.model = -(to.alpha * phi);
      c.midpoint = -0.5F * (to.alpha * phi);
      c.heun = to.alpha * (phi / h + 1.0F);
      c.second = -(to.alpha * ((phi + h) / (h * h) - 0.5F));
      break;
    }
    case DpmAlgorithm::dpmsolver: {
      const float phi = std::exp(h) - 1.0F;
      c.sample = to.alpha / from.alpha;
      c.model = -(to.sigma * phi);
      c.midpoint = -0.5F * (to.sigma * phi);
      c.heun = -(to.sigma * (phi / h - 1.0F));
      c.second = -(to.sigma * ((phi - h) / (h * h) - 0.5F));
      break;
    }
    case DpmAlgorithm::sde_dpmsolver_pp: {
      const float phi = 1.0F - std::exp(-2.0F * h);
      c.sample = to.sigma / from.sigma * std::exp(-h);
      c.model = to.alpha * phi;
      c.midpoint = 0.5F * (to.alpha * phi);
      c.heun = to.alpha * (phi / (-2.0F * h) + 1.0F);
      c.second = to.alpha * ((phi - 2.0F * h) / (4.0F * h * h) - 0.5F);
      c.noise = to.sigma * std::sqrt(phi);
      break;
    }
    case DpmAlgorithm::sde_dpmsolver: {
      const float phi = std::exp(h) - 1.0F;
      c.sample = to.alpha / from.alpha;
      c.model = -2.0F * (to.sigma * phi);
      c.midpoint = -(to.sigma * phi);
      c.heun = -2.0F * (to.sigma * (phi / h - 1.0F));
      c.noise = to.sigma * std::sqrt(std::exp(2.0F * h) - 1.0F);
      break;
    }
  }
  return c;
}

bool predicts_clean(DpmAlgorithm algorithm) {
  return algorithm == DpmAlgorithm::dpmsolver_pp || algorithm == DpmAlgorithm::sde_dpmsolver_pp;
}

bool adds_noise(DpmAlgorithm algorithm) {
  return algorithm == DpmAlgorithm::sde_dpmsolver || algorithm == DpmAlgorithm::sde_dpmsolver_pp;
}

void check_final_sigma(const SchedulerConfig& config) {
  if (predicts_clean(config.algorithm_type) || config.final_sigmas_type != FinalSigma::zero) return;
  bad_input(
      "field \"final_sigmas_type\" is \"zero\": algorithm_type dpmsolver and sde-dpmsolver need "
      "\"sigma_min\"");
}

}  // namespace tenon::pipelines
