// Noise levels of a run in the model's own spacing or in another.
#include "pipelines/text_to_image/schedulers/sigma_spacing.h"

#include <algorithm>
#include <cmath>

#include "pipelines/text_to_image/schedulers/beta_distribution.h"

namespace tenon::pipelines {
namespace {

std::vector<double> karras_sigmas(double high, double low, std::int64_t steps) {
  constexpr double kRho = 7;
  const double start = std::pow(high, 1 / kRho);
  const double end = std::pow(low, 1 / kRho);
  std::vector<double> sigmas = linspace(0, 1, steps);
  for (double& sigma : sigmas) sigma = std::pow(start + sigma * (end - start), kRho);
  return sigmas;
}

std::vector<double> exponential_sigmas(double high, double low, std::int64_t steps) {
  std::vector<double> sigmas = linspace(std::log(high), std::log(low), steps);
  for (double& sigma : sigmas) sigma = std::exp(sigma);
  return sigmas;
}

std::vector<double> beta_sigmas(double high, double low, std::int64_t steps) {
  constexpr double kShape = 0.6;
  std::vector<double> sigmas = linspace(0, 1, steps);
  for (double& sigma : sigmas) {
    sigma = low + beta_quantile(1 - sigma, kShape, kShape) * (high - low);
  }
  return sigmas;
}

std::vector<double> timesteps_of(const std::vector<double>& sigmas,
                                 std::span<const float> log_sigmas) {
  std::vector<double> timesteps;
  for (const double sigma : sigmas) timesteps.push_back(sigma_to_timestep(sigma, log_sigmas));
  return timesteps;
}

std::vector<double> interpolated(const std::vector<double>& timesteps,
                                 std::span<const float> sigmas) {
  std::vector<double> values;
  for (const double t : timesteps) values.push_back(interpolate(t, sigmas));
  return values;
}

/// The last place where `log_sigma` is not below the table; 0 if there is none.
std::size_t place_below(double log_sigma, std::span<const float> log_sigmas) {
  for (std::size_t i = log_sigmas.size(); i-- > 0;) {
    if (log_sigma >= static_cast<double>(log_sigmas[i])) return i;
  }
  return 0;
}

}  // namespace

bool respaces(const SchedulerConfig& config) {
  return config.use_karras_sigmas || config.use_exponential_sigmas || config.use_beta_sigmas;
}

double sigma_to_timestep(double sigma, std::span<const float> log_sigmas) {
  const double log_sigma = std::log(std::max(sigma, 1e-10));
  const std::size_t low = std::min(place_below(log_sigma, log_sigmas), log_sigmas.size() - 2);
  const auto width = static_cast<double>(log_sigmas[low] - log_sigmas[low + 1]);
  const double weight =
      std::clamp((static_cast<double>(log_sigmas[low]) - log_sigma) / width, 0.0, 1.0);
  return (1 - weight) * static_cast<double>(low) + weight * static_cast<double>(low + 1);
}

SigmaPlan respaced(const SchedulerConfig& config, const TrainingSigmas& training, double high,
                   double low, std::int64_t steps) {
  high = config.sigma_max.value_or(high);
  low = config.sigma_min.value_or(low);
  SigmaPlan plan;
  if (config.use_karras_sigmas) {
    plan.sigmas = karras_sigmas(high, low, steps);
  } else if (config.use_exponential_sigmas) {
    plan.sigmas = exponential_sigmas(high, low, steps);
  } else {
    plan.sigmas = beta_sigmas(high, low, steps);
  }
  plan.timesteps = timesteps_of(plan.sigmas, training.log_sigmas);
  return plan;
}

SigmaPlan lu_spaced(const TrainingSigmas& training, std::int64_t steps) {
  const auto high = static_cast<double>(training.log_sigmas.back());
  const auto low = static_cast<double>(training.log_sigmas.front());
  SigmaPlan plan;
  for (const double part : linspace(0, 1, steps)) {
    plan.sigmas.push_back(std::exp(high + part * (low - high)));
  }
  plan.timesteps = timesteps_of(plan.sigmas, training.log_sigmas);
  return plan;
}

SigmaPlan plan_sigmas(const SchedulerConfig& config, const TrainingSigmas& training,
                      std::int64_t steps, TimestepForm form) {
  SigmaPlan plan;
  plan.timesteps = spaced_timesteps(config, steps, form);
  plan.sigmas = interpolated(plan.timesteps, training.sigmas);
  if (!respaces(config)) return plan;
  return respaced(config, training, plan.sigmas.front(), plan.sigmas.back(), steps);
}

SigmaPlan plan_solver_sigmas(const SchedulerConfig& config, const TrainingSigmas& training,
                             std::int64_t steps, std::int64_t last, bool round_respaced) {
  SigmaPlan plan;
  if (!respaces(config) && !config.use_lu_lambdas) {
    plan.timesteps = solver_timesteps(config, steps, last);
    plan.sigmas = interpolated(plan.timesteps, training.sigmas);
    return plan;
  }
  const auto high = static_cast<double>(training.sigmas.back());
  const auto low = static_cast<double>(training.sigmas.front());
  const bool lu = config.use_lu_lambdas && !config.use_karras_sigmas;
  plan = lu ? lu_spaced(training, steps) : respaced(config, training, high, low, steps);
  const bool round = round_respaced && (lu || config.use_karras_sigmas);
  for (double& t : plan.timesteps) t = round ? std::nearbyint(t) : std::trunc(t);
  return plan;
}

}  // namespace tenon::pipelines
