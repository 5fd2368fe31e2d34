// The weights of one step of the DPM solvers (Lu et al. 2022, "DPM-Solver" and "DPM-Solver++"),
// the same for multistep and singlestep forms.
#pragma once

#include "pipelines/text_to_image/schedulers/solver_scheduler.h"

namespace tenon::pipelines {

/// next = sample * x + model * D0 + (midpoint or heun) * D1 + second * D2 + noise * fresh noise,
/// where D0, D1, D2 are the model's output at the start of the step and its differences. With
/// `to` free of noise only sample, model and noise are finite.
struct DpmCoefficients {
  float sample;
  float model;
  float midpoint;
  float heun;
  float second;
  float noise;
};

DpmCoefficients dpm_coefficients(DpmAlgorithm algorithm, const Level& from, const Level& to);

/// Whether the history holds clean samples; otherwise it holds noise.
bool predicts_clean(DpmAlgorithm algorithm);
bool adds_noise(DpmAlgorithm algorithm);

/// Refuses what diffusers refuses: dpmsolver and sde-dpmsolver divide by the last level's noise.
void check_final_sigma(const SchedulerConfig& config);

}  // namespace tenon::pipelines
