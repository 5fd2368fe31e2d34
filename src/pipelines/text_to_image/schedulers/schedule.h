// What all schedulers start from: the noise levels of training and the timesteps chosen of them.
// float32 where diffusers holds float32, so that roundings agree.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipelines/text_to_image/schedulers/scheduler_config.h"

namespace tenon::pipelines {

/// The products of (1 - beta) over the training steps, num_train_timesteps of them, falling. With
/// `keep_terminal_snr` a last value of 0 (rescale_betas_zero_snr) becomes 2^-24, for those that
/// divide by it. Error(bad_input) for betas that leave no signal or no noise.
enum class TerminalSnr { as_is, at_least_tiny };
std::vector<float> cumulative_alphas(const SchedulerConfig& config, TerminalSnr terminal);

/// sqrt((1 - a) / a) for each, and the logarithms of these: rising.
struct TrainingSigmas {
  std::vector<float> sigmas;
  std::vector<float> log_sigmas;
};
TrainingSigmas training_sigmas(std::span<const float> alphas);

/// `steps` timesteps, falling, by timestep_spacing; integers for integer models.
enum class TimestepForm { integer, real };
std::vector<double> spaced_timesteps(const SchedulerConfig& config, std::int64_t steps,
                                     TimestepForm form);

/// The form of the solvers of DPM and UniPC: `steps` + 1 points down to 0, the last left out.
/// `last`: the number of training steps that are used, num_train_timesteps or fewer.
std::vector<double> solver_timesteps(const SchedulerConfig& config, std::int64_t steps,
                                     std::int64_t last);

/// The training steps of a log-SNR above lambda_min_clipped.
std::int64_t unclipped_timesteps(const SchedulerConfig& config, std::span<const float> alphas);

/// `count` numbers from `start` to `stop` inclusive, as numpy.linspace; just `start` for one.
std::vector<double> linspace(double start, double stop, std::int64_t count);

/// Piecewise linear through values[0..] at 0, 1, ...; constant beyond the ends.
double interpolate(double x, std::span<const float> values);

/// The alpha of an integral timestep. Error(usage) when the timestep is outside of training, which
/// a large steps_offset brings about.
float alpha_at(std::span<const float> alphas, double timestep);

}  // namespace tenon::pipelines
