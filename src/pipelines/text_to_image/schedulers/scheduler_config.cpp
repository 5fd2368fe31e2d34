// SchedulerConfig from scheduler_config.json: one row a field.
#include "pipelines/text_to_image/schedulers/scheduler_config.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include <fmt/ranges.h>

#include "base/error.h"

namespace tenon::pipelines {
namespace {

constexpr std::int64_t kMaxTrainTimesteps = 100'000;
constexpr double kLargest = 1e6;

using Read = void (*)(const Json& json, const char* key, SchedulerConfig& config);
struct Field {
  const char* key;
  Read read;
};

template <bool SchedulerConfig::*member>
void flag(const Json& json, const char* key, SchedulerConfig& config) {
  config.*member = get_bool(json, key, false);
}

double number(const Json& json, const char* key, double low, double high) {
  const double value = get_number(json, key, 0);
  if (value >= low && value <= high) return value;
  bad_input("field \"{}\" is {}, expected {} to {}", key, value, low, high);
}

template <double SchedulerConfig::*member>
void positive(const Json& json, const char* key, SchedulerConfig& config) {
  config.*member = number(json, key, 1e-9, kLargest);
}

template <double SchedulerConfig::*member>
void beta(const Json& json, const char* key, SchedulerConfig& config) {
  config.*member = number(json, key, 0, 0.999);
}

template <std::int64_t SchedulerConfig::*member, std::int64_t low, std::int64_t high>
void integer(const Json& json, const char* key, SchedulerConfig& config) {
  config.*member = get_int(json, key, low, high);
}

template <std::optional<double> SchedulerConfig::*member>
void optional_positive(const Json& json, const char* key, SchedulerConfig& config) {
  config.*member = number(json, key, 1e-9, kLargest);
}

template <typename Value, std::size_t count>
Value choice(const Json& json, const char* key,
             const std::pair<const char*, Value> (&choices)[count]) {
  const std::string found = get_string(json, key, "");
  std::vector<std::string_view> names;
  for (const auto& [name, value] : choices) {
    if (found == name) return value;
    names.emplace_back(name);
  }
  bad_input("field \"{}\" is \"{}\", expected one of {}", key, found, fmt::join(names, ", "));
}

void beta_schedule(const Json& json, const char* key, SchedulerConfig& config) {
  config.beta_schedule =
      choice<BetaSchedule>(json, key,
                           {{"linear", BetaSchedule::linear},
                            {"scaled_linear", BetaSchedule::scaled_linear},
                            {"squaredcos_cap_v2", BetaSchedule::squaredcos_cap_v2},
                            {"exp", BetaSchedule::exp},
                            {"laplace", BetaSchedule::laplace},
                            {"sigmoid", BetaSchedule::sigmoid}});
}

void trained_betas(const Json& json, const char* key, SchedulerConfig& config) {
  const Json& list = *find_field(json, key);
  if (!list.is_array() || list.size() > static_cast<std::size_t>(kMaxTrainTimesteps)) {
    bad_input("field \"{}\" must be a list of at most {} numbers", key, kMaxTrainTimesteps);
  }
  for (const Json& value : list) {
    if (!value.is_number() || !(value.get<double>() >= 0 && value.get<double>() < 1)) {
      bad_input("field \"{}\" holds {}, expected numbers in [0, 1)", key, value.dump());
    }
    config.trained_betas.push_back(value.get<double>());
  }
}

void prediction_type(const Json& json, const char* key, SchedulerConfig& config) {
  config.prediction_type = choice<PredictionType>(json, key,
                                                  {{"epsilon", PredictionType::epsilon},
                                                   {"v_prediction", PredictionType::v_prediction},
                                                   {"sample", PredictionType::sample}});
}

void timestep_spacing(const Json& json, const char* key, SchedulerConfig& config) {
  config.timestep_spacing = choice<TimestepSpacing>(json, key,
                                                    {{"linspace", TimestepSpacing::linspace},
                                                     {"leading", TimestepSpacing::leading},
                                                     {"trailing", TimestepSpacing::trailing}});
}

void final_sigmas_type(const Json& json, const char* key, SchedulerConfig& config) {
  config.final_sigmas_type = choice<FinalSigma>(
      json, key, {{"zero", FinalSigma::zero}, {"sigma_min", FinalSigma::sigma_min}});
}

void interpolation_type(const Json& json, const char* key, SchedulerConfig& config) {
  config.interpolate_log_linear =
      choice<bool>(json, key, {{"linear", false}, {"log_linear", true}});
}

void timestep_type(const Json& json, const char* key, SchedulerConfig& config) {
  config.continuous_timesteps =
      choice<bool>(json, key, {{"discrete", false}, {"continuous", true}});
}

void variance_type(const Json& json, const char* key, SchedulerConfig& config) {
  const std::string found = get_string(json, key, "");
  if (found == "learned" || found == "learned_range") {
    bad_input("field \"{}\" is \"{}\": models that predict their variance are not supported", key,
              found);
  }
  config.variance_type = choice<VarianceType>(json, key,
                                              {{"fixed_small", VarianceType::fixed_small},
                                               {"fixed_small_log", VarianceType::fixed_small_log},
                                               {"fixed_large", VarianceType::fixed_large}});
}

void algorithm_type(const Json& json, const char* key, SchedulerConfig& config) {
  // diffusers turns "deis" of a DEIS config into dpmsolver++.
  config.algorithm_type = choice<DpmAlgorithm>(json, key,
                                               {{"dpmsolver", DpmAlgorithm::dpmsolver},
                                                {"dpmsolver++", DpmAlgorithm::dpmsolver_pp},
                                                {"sde-dpmsolver", DpmAlgorithm::sde_dpmsolver},
                                                {"sde-dpmsolver++", DpmAlgorithm::sde_dpmsolver_pp},
                                                {"deis", DpmAlgorithm::dpmsolver_pp}});
}

void solver_type(const Json& json, const char* key, SchedulerConfig& config) {
  // The names of another family of solvers stand for the default of this one, as in diffusers.
  config.dpm_solver_type = choice<DpmSolver>(json, key,
                                             {{"midpoint", DpmSolver::midpoint},
                                              {"heun", DpmSolver::heun},
                                              {"logrho", DpmSolver::midpoint},
                                              {"bh1", DpmSolver::midpoint},
                                              {"bh2", DpmSolver::midpoint}});
  config.unipc_solver_type =
      get_string(json, key, "") == "bh1" ? UnipcSolver::bh1 : UnipcSolver::bh2;
}

void lambda_min_clipped(const Json& json, const char* key, SchedulerConfig& config) {
  const Json& value = *find_field(json, key);
  if (value.is_string() && value.get<std::string>() == "-Infinity") return;
  config.lambda_min_clipped = number(json, key, -kLargest, kLargest);
}

void disable_corrector(const Json& json, const char* key, SchedulerConfig& config) {
  const Json& list = *find_field(json, key);
  if (!list.is_array() || list.size() > static_cast<std::size_t>(kMaxTrainTimesteps)) {
    bad_input("field \"{}\" must be a list of step numbers", key);
  }
  for (const Json& value : list) {
    const Json wrapped = {{key, value}};
    config.disable_corrector.push_back(get_int(wrapped, key, 0, kMaxTrainTimesteps));
  }
}

void noise_sampler_seed(const Json& json, const char* key, SchedulerConfig& config) {
  config.noise_sampler_seed =
      static_cast<std::uint64_t>(get_int(json, key, 0, std::numeric_limits<std::int64_t>::max()));
}

void refuse_flow(const Json& json, const char* key, SchedulerConfig& /*config*/) {
  if (get_bool(json, key, false)) {
    bad_input("field \"{}\" is true: flow matching models are not supported", key);
  }
}

void refuse_any(const Json& json, const char* key, SchedulerConfig& /*config*/) {
  bad_input("field \"{}\" is {}, only null is supported", key, find_field(json, key)->dump());
}

void ignore(const Json& /*json*/, const char* /*key*/, SchedulerConfig& /*config*/) {}

using C = SchedulerConfig;
constexpr Field kFields[] = {
    {"num_train_timesteps", integer<&C::num_train_timesteps, 2, kMaxTrainTimesteps>},
    {"beta_start", beta<&C::beta_start>},
    {"beta_end", beta<&C::beta_end>},
    {"beta_schedule", beta_schedule},
    {"trained_betas", trained_betas},
    {"rescale_betas_zero_snr", flag<&C::rescale_betas_zero_snr>},
    {"prediction_type", prediction_type},
    {"timestep_spacing", timestep_spacing},
    {"steps_offset", integer<&C::steps_offset, 0, kMaxTrainTimesteps>},
    {"use_karras_sigmas", flag<&C::use_karras_sigmas>},
    {"use_exponential_sigmas", flag<&C::use_exponential_sigmas>},
    {"use_beta_sigmas", flag<&C::use_beta_sigmas>},
    {"use_lu_lambdas", flag<&C::use_lu_lambdas>},
    {"sigma_min", optional_positive<&C::sigma_min>},
    {"sigma_max", optional_positive<&C::sigma_max>},
    {"final_sigmas_type", final_sigmas_type},
    {"interpolation_type", interpolation_type},
    {"timestep_type", timestep_type},
    {"clip_sample", flag<&C::clip_sample>},
    {"clip_sample_range", positive<&C::clip_sample_range>},
    {"thresholding", flag<&C::thresholding>},
    {"dynamic_thresholding_ratio",
     [](const Json& json, const char* key, C& config) {
       config.dynamic_thresholding_ratio = number(json, key, 0, 1);
     }},
    {"sample_max_value", positive<&C::sample_max_value>},
    {"set_alpha_to_one", flag<&C::set_alpha_to_one>},
    {"skip_prk_steps", flag<&C::skip_prk_steps>},
    {"variance_type", variance_type},
    {"solver_order", integer<&C::solver_order, 1, 3>},
    {"algorithm_type", algorithm_type},
    {"solver_type", solver_type},
    {"lower_order_final", flag<&C::lower_order_final>},
    {"euler_at_final", flag<&C::euler_at_final>},
    {"lambda_min_clipped", lambda_min_clipped},
    {"predict_x0", flag<&C::predict_x0>},
    {"disable_corrector", disable_corrector},
    {"solver_p", refuse_any},
    {"use_flow_sigmas", refuse_flow},
    {"use_dynamic_shifting", refuse_flow},
    {"shift_terminal", refuse_any},
    {"flow_shift", ignore},  // meaningless without flow sigmas
    {"time_shift_type", ignore},
    {"original_inference_steps", integer<&C::original_inference_steps, 1, kMaxTrainTimesteps>},
    {"timestep_scaling", positive<&C::timestep_scaling>},
    {"noise_sampler_seed", noise_sampler_seed},
};

bool lists(std::string_view keys, std::string_view key) {
  for (std::size_t at = keys.find(key); at != keys.npos; at = keys.find(key, at + 1)) {
    const std::size_t end = at + key.size();
    const bool starts = at == 0 || keys[at - 1] == ' ';
    if (starts && (end == keys.size() || keys[end] == ' ')) return true;
  }
  return false;
}

void check_together(const SchedulerConfig& config) {
  const int spacings = static_cast<int>(config.use_karras_sigmas) +
                       static_cast<int>(config.use_exponential_sigmas) +
                       static_cast<int>(config.use_beta_sigmas);
  if (spacings > 1) {
    bad_input(
        "{} of \"use_karras_sigmas\", \"use_exponential_sigmas\" and \"use_beta_sigmas\" are true, "
        "expected one at most",
        spacings);
  }
  const std::size_t betas = config.trained_betas.size();
  if (betas != 0 && betas != static_cast<std::size_t>(config.num_train_timesteps)) {
    bad_input("field \"trained_betas\" has {} values, \"num_train_timesteps\" is {}", betas,
              config.num_train_timesteps);
  }
  if (config.sigma_min && config.sigma_max && *config.sigma_min >= *config.sigma_max) {
    bad_input("field \"sigma_min\" is {}, expected less than \"sigma_max\" = {}", *config.sigma_min,
              *config.sigma_max);
  }
}

}  // namespace

void parse_scheduler_config(const Json& json, std::string_view keys, SchedulerConfig& config,
                            std::vector<std::string>& notes) {
  if (!json.is_object())
    bad_input("a scheduler's config is a JSON object, found {}", json.type_name());
  for (const auto& entry : json.items()) {
    const std::string& key = entry.key();
    if (key.starts_with('_')) continue;
    const auto* field = std::find_if(std::begin(kFields), std::end(kFields),
                                     [&](const Field& row) { return key == row.key; });
    if (field == std::end(kFields)) {
      notes.push_back(fmt::format("unknown field \"{}\" is ignored", key));
    } else if (!entry.value().is_null() && lists(keys, key)) {
      field->read(json, field->key, config);
    }
  }
  check_together(config);
}

Json parse_python_json(std::string_view text, std::string_view where) {
  constexpr std::string_view kWords[] = {"-Infinity", "Infinity", "NaN"};
  std::string out;
  out.reserve(text.size() + 16);
  bool in_string = false;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string && c == '\\' && i + 1 < text.size()) {
      out.append(text.substr(i, 2));
      i += 2;
      continue;
    }
    if (c == '"') in_string = !in_string;
    const auto* word =
        in_string ? std::end(kWords)
                  : std::find_if(std::begin(kWords), std::end(kWords),
                                 [&](std::string_view w) { return text.substr(i).starts_with(w); });
    if (word == std::end(kWords)) {
      out.push_back(c);
      ++i;
    } else {
      out.append(1, '"').append(*word).append(1, '"');
      i += word->size();
    }
  }
  return parse_json(out, where);
}

}  // namespace tenon::pipelines
