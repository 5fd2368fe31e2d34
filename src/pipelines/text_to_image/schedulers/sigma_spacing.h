// Noise levels (sigmas) of a run in the model's own spacing or in one of those proposed since.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipelines/text_to_image/schedulers/schedule.h"

namespace tenon::pipelines {

/// A run's noise levels, falling, without the last (0 or the smallest), and its timesteps.
struct SigmaPlan {
  std::vector<double> sigmas;
  std::vector<double> timesteps;
};

/// Whether the config asks for karras, exponential or beta sigmas.
bool respaces(const SchedulerConfig& config);

/// `steps` sigmas from `high` to `low` (sigma_max and sigma_min of the config go before them) by
/// the spacing that respaces() names, and the timesteps at which the model was trained with them.
///   karras: (Karras et al. 2022, equation 5, rho = 7)   exponential: even in the logarithm
///   beta: quantiles of Beta(0.6, 0.6) (Lee et al. 2024)
SigmaPlan respaced(const SchedulerConfig& config, const TrainingSigmas& training, double high,
                   double low, std::int64_t steps);

/// Even steps of log-SNR (Lu et al. 2022).
SigmaPlan lu_spaced(const TrainingSigmas& training, std::int64_t steps);

/// The timestep of training, a real number, at which the noise level was `sigma`.
double sigma_to_timestep(double sigma, std::span<const float> log_sigmas);

/// The schedulers that start from spaced_timesteps (LMS, Euler, Heun, DPM-SDE).
SigmaPlan plan_sigmas(const SchedulerConfig& config, const TrainingSigmas& training,
                      std::int64_t steps, TimestepForm form);

/// The solvers of DPM and UniPC; timesteps are integers. `round_respaced`: karras and lu timesteps
/// are rounded, all others cut off, as diffusers does.
SigmaPlan plan_solver_sigmas(const SchedulerConfig& config, const TrainingSigmas& training,
                             std::int64_t steps, std::int64_t last, bool round_respaced);

}  // namespace tenon::pipelines
