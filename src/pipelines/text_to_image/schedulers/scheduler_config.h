// SchedulerConfig: the options of diffusers' scheduler_config.json, for every scheduler at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace tenon::pipelines {

enum class BetaSchedule { linear, scaled_linear, squaredcos_cap_v2, exp, laplace, sigmoid };
/// What the model was trained to give: the noise, the velocity or the clean sample.
enum class PredictionType { epsilon, v_prediction, sample };
enum class TimestepSpacing { linspace, leading, trailing };
enum class FinalSigma { zero, sigma_min };
enum class VarianceType { fixed_small, fixed_small_log, fixed_large };
enum class DpmAlgorithm { dpmsolver, dpmsolver_pp, sde_dpmsolver, sde_dpmsolver_pp };
enum class DpmSolver { midpoint, heun };
enum class UnipcSolver { bh1, bh2 };

/// Names and meaning are those of diffusers 0.39. Defaults differ from class to class: those below
/// are the commonest, a scheduler's own stand in its row (scheduler.cpp). Plain data, valid as
/// parse_scheduler_config gives it.
struct SchedulerConfig {
  std::int64_t num_train_timesteps = 1000;  // 2 to 100000
  double beta_start = 0.0001;
  double beta_end = 0.02;
  BetaSchedule beta_schedule = BetaSchedule::linear;
  std::vector<double> trained_betas;  // empty: by the schedule; otherwise one a training step
  bool rescale_betas_zero_snr = false;
  PredictionType prediction_type = PredictionType::epsilon;

  TimestepSpacing timestep_spacing = TimestepSpacing::linspace;
  std::int64_t steps_offset = 0;

  bool use_karras_sigmas = false;  // one of these three at most
  bool use_exponential_sigmas = false;
  bool use_beta_sigmas = false;
  bool use_lu_lambdas = false;
  std::optional<double> sigma_min;  // bounds of the three spacings; not given: the model's
  std::optional<double> sigma_max;
  FinalSigma final_sigmas_type = FinalSigma::zero;
  bool interpolate_log_linear = false;  // interpolation_type "log_linear"
  bool continuous_timesteps = false;    // timestep_type "continuous"

  bool clip_sample = false;
  double clip_sample_range = 1;
  bool thresholding = false;
  double dynamic_thresholding_ratio = 0.995;
  double sample_max_value = 1;
  bool set_alpha_to_one = false;
  bool skip_prk_steps = false;
  VarianceType variance_type = VarianceType::fixed_small;

  std::int64_t solver_order = 2;
  DpmAlgorithm algorithm_type = DpmAlgorithm::dpmsolver_pp;
  DpmSolver dpm_solver_type = DpmSolver::midpoint;
  UnipcSolver unipc_solver_type = UnipcSolver::bh2;
  bool lower_order_final = true;
  bool euler_at_final = false;
  double lambda_min_clipped = -1e300;  // below every logarithm of a signal-to-noise ratio
  bool predict_x0 = true;
  std::vector<std::int64_t> disable_corrector;  // steps after which UniPC does not correct

  std::int64_t original_inference_steps = 50;
  double timestep_scaling = 10;
  std::optional<std::uint64_t> noise_sampler_seed;
};

/// Reads from `json` the fields named in `keys` (separated by spaces) over `config`. As diffusers
/// does, fields that belong to other schedulers are left alone; a field that no scheduler has is
/// named in `notes`. Error(bad_input) names the field, what was found and what there is: values
/// out of range, unknown choices, combinations that diffusers refuses, and what needs another kind
/// of model (flow matching, learned variances).
void parse_scheduler_config(const Json& json, std::string_view keys, SchedulerConfig& config,
                            std::vector<std::string>& notes);

/// JSON as Python writes it: Infinity, -Infinity and NaN may stand for numbers (diffusers saves
/// lambda_min_clipped so); they become strings of that name, which parse_scheduler_config takes.
Json parse_python_json(std::string_view text, std::string_view where);

}  // namespace tenon::pipelines
