// The table of schedulers, and what every one of them does the same.
#include "pipelines/text_to_image/schedulers/scheduler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include <fmt/ranges.h>

#include "base/error.h"
#include "pipelines/text_to_image/schedulers/schedulers.h"

namespace tenon::pipelines {
namespace {

using Change = void (*)(SchedulerConfig& config);
struct Row {
  const char* name;
  const char* class_name;
  const char* keys;  // of the config, as the class's constructor has them
  Change defaults;   // where the class's differ from SchedulerConfig's
  Change by_name;    // what the name says beyond the class; null for nothing
  std::unique_ptr<Scheduler> (*make)(SchedulerConfig config);
};

#define TENON_TRAINING_KEYS \
  "num_train_timesteps beta_start beta_end beta_schedule trained_betas prediction_type "
#define TENON_SPACING_KEYS "timestep_spacing steps_offset "
#define TENON_THRESHOLD_KEYS "thresholding dynamic_thresholding_ratio sample_max_value "
#define TENON_SIGMA_KEYS "use_karras_sigmas use_exponential_sigmas use_beta_sigmas "
#define TENON_FLOW_KEYS "use_flow_sigmas flow_shift use_dynamic_shifting time_shift_type "
#define TENON_DPM_KEYS                                                               \
  TENON_TRAINING_KEYS TENON_THRESHOLD_KEYS TENON_SIGMA_KEYS TENON_FLOW_KEYS          \
      "solver_order algorithm_type solver_type lower_order_final final_sigmas_type " \
      "lambda_min_clipped variance_type "
#define TENON_MULTISTEP_KEYS \
  TENON_DPM_KEYS TENON_SPACING_KEYS "euler_at_final use_lu_lambdas rescale_betas_zero_snr"

constexpr const char* kLms = TENON_TRAINING_KEYS TENON_SPACING_KEYS TENON_SIGMA_KEYS;
constexpr const char* kDdim = TENON_TRAINING_KEYS TENON_SPACING_KEYS TENON_THRESHOLD_KEYS
    "clip_sample clip_sample_range set_alpha_to_one rescale_betas_zero_snr";
constexpr const char* kDdpm = TENON_TRAINING_KEYS TENON_SPACING_KEYS TENON_THRESHOLD_KEYS
    "clip_sample clip_sample_range variance_type rescale_betas_zero_snr";
constexpr const char* kPndm =
    TENON_TRAINING_KEYS TENON_SPACING_KEYS "skip_prk_steps set_alpha_to_one";
constexpr const char* kEuler = TENON_TRAINING_KEYS TENON_SPACING_KEYS TENON_SIGMA_KEYS
    "sigma_min sigma_max interpolation_type timestep_type final_sigmas_type rescale_betas_zero_snr";
constexpr const char* kEulerAncestral =
    TENON_TRAINING_KEYS TENON_SPACING_KEYS "rescale_betas_zero_snr";
constexpr const char* kHeun =
    TENON_TRAINING_KEYS TENON_SPACING_KEYS TENON_SIGMA_KEYS "clip_sample clip_sample_range";
constexpr const char* kMultistep = TENON_MULTISTEP_KEYS;
constexpr const char* kSinglestep = TENON_DPM_KEYS;
constexpr const char* kDpmSde =
    TENON_TRAINING_KEYS TENON_SPACING_KEYS TENON_SIGMA_KEYS "noise_sampler_seed";
constexpr const char* kUnipc =
    TENON_TRAINING_KEYS TENON_SPACING_KEYS TENON_THRESHOLD_KEYS TENON_SIGMA_KEYS TENON_FLOW_KEYS
    "solver_order predict_x0 solver_type lower_order_final disable_corrector solver_p "
    "final_sigmas_type rescale_betas_zero_snr sigma_min sigma_max shift_terminal";
constexpr const char* kLcm = TENON_TRAINING_KEYS TENON_THRESHOLD_KEYS
    "original_inference_steps clip_sample clip_sample_range set_alpha_to_one "
    "timestep_scaling rescale_betas_zero_snr";

void common(SchedulerConfig& /*config*/) {}

void ddim(SchedulerConfig& config) {
  config.clip_sample = true;
  config.set_alpha_to_one = true;
  config.timestep_spacing = TimestepSpacing::leading;
}

void ddpm(SchedulerConfig& config) {
  config.clip_sample = true;
  config.timestep_spacing = TimestepSpacing::leading;
}

void pndm(SchedulerConfig& config) { config.timestep_spacing = TimestepSpacing::leading; }

void latent_betas(SchedulerConfig& config) {
  config.beta_start = 0.00085;
  config.beta_end = 0.012;
}

void lcm(SchedulerConfig& config) {
  latent_betas(config);
  config.beta_schedule = BetaSchedule::scaled_linear;
  config.set_alpha_to_one = true;
}

void singlestep(SchedulerConfig& config) { config.lower_order_final = false; }

void deterministic(SchedulerConfig& config) { config.algorithm_type = DpmAlgorithm::dpmsolver_pp; }

void stochastic(SchedulerConfig& config) { config.algorithm_type = DpmAlgorithm::sde_dpmsolver_pp; }

constexpr Row kRows[] = {
    {"lms", "LMSDiscreteScheduler", kLms, common, nullptr, make_lms},
    {"ddim", "DDIMScheduler", kDdim, ddim, nullptr, make_ddim},
    {"ddpm", "DDPMScheduler", kDdpm, ddpm, nullptr, make_ddpm},
    {"pndm", "PNDMScheduler", kPndm, pndm, nullptr, make_pndm},
    {"euler", "EulerDiscreteScheduler", kEuler, common, nullptr, make_euler},
    {"euler_a", "EulerAncestralDiscreteScheduler", kEulerAncestral, common, nullptr,
     make_euler_ancestral},
    {"heun", "HeunDiscreteScheduler", kHeun, latent_betas, nullptr, make_heun},
    {"dpmpp_2m", "DPMSolverMultistepScheduler", kMultistep, common, deterministic,
     make_dpm_multistep},
    {"dpmpp_2m_sde", "DPMSolverMultistepScheduler", kMultistep, common, stochastic,
     make_dpm_multistep},
    {"dpmpp_2s", "DPMSolverSinglestepScheduler", kSinglestep, singlestep, nullptr,
     make_dpm_singlestep},
    {"dpmpp_sde", "DPMSolverSDEScheduler", kDpmSde, latent_betas, nullptr, make_dpm_sde},
    {"unipc", "UniPCMultistepScheduler", kUnipc, common, nullptr, make_unipc},
    {"lcm", "LCMScheduler", kLcm, lcm, nullptr, make_lcm},
};

const Row& row_of_class(const Json& json) {
  const std::string found = get_string(json, "_class_name", "");
  std::vector<std::string_view> classes;
  for (const Row& row : kRows) {
    if (found == row.class_name) return row;
    if (classes.empty() || classes.back() != row.class_name) classes.emplace_back(row.class_name);
  }
  throw Error(ErrorCode::bad_input,
              fmt::format("the scheduler class \"{}\" (_class_name) is not supported, there are {}",
                          found, fmt::join(classes, ", ")))
      .hint("choose a scheduler by name, for example --scheduler euler: it takes over the options");
}

const Row& row_of_name(std::string_view name) {
  for (const Row& row : kRows) {
    if (name == row.name) return row;
  }
  fail(ErrorCode::usage,
       "there is no scheduler \"{}\", there are {}; most take :karras behind the name", name,
       fmt::join(scheduler_names(), ", "));
}

void use_karras(const Row& row, SchedulerConfig& config) {
  if (std::string_view(row.keys).find("use_karras_sigmas") == std::string_view::npos) {
    fail(ErrorCode::usage, "the scheduler {} has no Karras sigmas: leave out :karras", row.name);
  }
  config.use_karras_sigmas = true;
  config.use_exponential_sigmas = false;
  config.use_beta_sigmas = false;
  config.use_lu_lambdas = false;
}

/// Beta schedules that one class alone has.
void check_beta_schedule(const Row& row, BetaSchedule schedule) {
  const std::string_view name = row.name;
  const bool of_heun = schedule == BetaSchedule::exp;
  const bool of_ddpm = schedule == BetaSchedule::laplace || schedule == BetaSchedule::sigmoid;
  if ((!of_heun || name == "heun") && (!of_ddpm || name == "ddpm")) return;
  bad_input(
      "field \"beta_schedule\": {} has linear, scaled_linear and squaredcos_cap_v2 only; exp is "
      "for "
      "HeunDiscreteScheduler, laplace and sigmoid for DDPMScheduler",
      row.class_name);
}

}  // namespace

void Scheduler::set_timesteps(const ScheduleRequest& request) {
  const std::int64_t most = config_.num_train_timesteps;
  if (request.steps < 1 || request.steps > most) {
    fail(ErrorCode::usage, "steps is {}, expected 1 to {}, the steps of training", request.steps,
         most);
  }
  if (!(request.strength > 0 && request.strength <= 1)) {
    fail(ErrorCode::usage, "strength is {}, expected above 0 and at most 1", request.strength);
  }
  if (!(request.eta >= 0 && request.eta <= 1)) {
    fail(ErrorCode::usage, "eta is {}, expected 0 to 1", request.eta);
  }
  if (request.images < 1)
    fail(ErrorCode::usage, "images is {}, expected 1 or more", request.images);
  const auto kept =
      std::min(static_cast<std::int64_t>(static_cast<double>(request.steps) * request.strength),
               request.steps);
  if (kept == 0) {
    fail(ErrorCode::usage, "strength {} leaves none of {} steps: more steps or a larger strength",
         request.strength, request.steps);
  }
  request_ = request;
  plan(request.steps);
  begin_ = std::min(static_cast<std::size_t>(request.steps - kept) * calls_per_step(),
                    timesteps_.size() - 1);
  next_ = begin_;
}

std::span<const double> Scheduler::timesteps() const {
  return std::span(timesteps_).subspan(begin_);
}

void Scheduler::scale_model_input(std::span<float> /*sample*/, std::size_t /*index*/) const {}

void Scheduler::step(std::span<const float> model_output, std::size_t index,
                     std::span<float> sample, NoiseSource& noise) {
  if (begin_ + index != next_ || next_ >= timesteps_.size()) {
    fail(ErrorCode::usage,
         "step {} was asked for, expected {} of {}: steps come in order after set_timesteps", index,
         next_ - begin_, timesteps_.size() - begin_);
  }
  if (model_output.size() != sample.size() ||
      sample.size() % static_cast<std::size_t>(request_.images) != 0) {
    fail(ErrorCode::usage, "the model gave {} values for a sample of {} values in {} images",
         model_output.size(), sample.size(), request_.images);
  }
  advance(model_output, next_, sample, noise);
  ++next_;
}

std::unique_ptr<Scheduler> make_scheduler(const Json& json, std::string_view name,
                                          std::vector<std::string>& notes) {
  constexpr std::string_view kKarras = ":karras";
  const bool karras = name.ends_with(kKarras);
  if (karras) name.remove_suffix(kKarras.size());
  const Row& row = name.empty() ? row_of_class(json) : row_of_name(name);
  SchedulerConfig config;
  row.defaults(config);
  parse_scheduler_config(json, row.keys, config, notes);
  if (!name.empty() && row.by_name != nullptr) row.by_name(config);
  if (karras) use_karras(row, config);
  check_beta_schedule(row, config.beta_schedule);
  return row.make(std::move(config));
}

std::vector<std::string_view> scheduler_names() {
  std::vector<std::string_view> names;
  for (const Row& row : kRows) names.emplace_back(row.name);
  return names;
}

}  // namespace tenon::pipelines
