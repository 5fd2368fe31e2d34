// The noise levels of training and the timesteps chosen of them.
#include "pipelines/text_to_image/schedulers/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace tenon::pipelines {
namespace {

/// torch.linspace in float32: from both ends, each value one fused multiply-add.
std::vector<float> linspace_float(float start, float stop, std::int64_t count) {
  const float step = (stop - start) / static_cast<float>(count - 1);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) {
    values.push_back(i < count / 2 ? std::fma(step, static_cast<float>(i), start)
                                   : std::fma(-step, static_cast<float>(count - i - 1), stop));
  }
  return values;
}

double alpha_bar(BetaSchedule schedule, double t) {
  switch (schedule) {
    case BetaSchedule::exp:
      return std::exp(t * -12.0);
    case BetaSchedule::laplace: {
      const double lambda =
          -0.5 * std::copysign(1.0, 0.5 - t) * std::log(1 - 2 * std::fabs(0.5 - t) + 1e-6);
      const double snr = std::exp(lambda);
      return std::sqrt(snr / (1 + snr));
    }
    default: {
      const double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
      return c * c;
    }
  }
}

std::vector<float> betas_for_alpha_bar(BetaSchedule schedule, std::int64_t count) {
  constexpr double kMaxBeta = 0.999;
  const auto n = static_cast<double>(count);
  std::vector<float> betas;
  for (std::int64_t i = 0; i < count; ++i) {
    const double ratio = alpha_bar(schedule, static_cast<double>(i + 1) / n) /
                         alpha_bar(schedule, static_cast<double>(i) / n);
    betas.push_back(static_cast<float>(std::min(1 - ratio, kMaxBeta)));
  }
  return betas;
}

std::vector<float> training_betas(const SchedulerConfig& config) {
  const auto start = static_cast<float>(config.beta_start);
  const auto end = static_cast<float>(config.beta_end);
  const std::int64_t count = config.num_train_timesteps;
  if (!config.trained_betas.empty()) {
    return {config.trained_betas.begin(), config.trained_betas.end()};
  }
  std::vector<float> betas;
  switch (config.beta_schedule) {
    case BetaSchedule::linear:
      return linspace_float(start, end, count);
    case BetaSchedule::scaled_linear:
      betas = linspace_float(static_cast<float>(std::sqrt(config.beta_start)),
                             static_cast<float>(std::sqrt(config.beta_end)), count);
      for (float& beta : betas) beta *= beta;
      return betas;
    case BetaSchedule::sigmoid:
      betas = linspace_float(-6, 6, count);
      for (float& beta : betas) {
        beta = 1 / (1 + std::exp(-beta)) * static_cast<float>(config.beta_end - config.beta_start) +
               start;
      }
      return betas;
    case BetaSchedule::squaredcos_cap_v2:
    case BetaSchedule::exp:
    case BetaSchedule::laplace:
      break;
  }
  return betas_for_alpha_bar(config.beta_schedule, count);
}

/// The running product in double, rounded at each step, as torch.cumprod does.
std::vector<float> cumulative_product(std::span<const float> alphas) {
  double product = 1;
  std::vector<float> products;
  for (const float alpha : alphas) {
    product *= static_cast<double>(alpha);
    products.push_back(static_cast<float>(product));
  }
  return products;
}

/// Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1.
void rescale_zero_terminal_snr(std::vector<float>& betas) {
  std::vector<float> alphas;
  for (const float beta : betas) alphas.push_back(1.0F - beta);
  std::vector<float> roots = cumulative_product(alphas);
  for (float& root : roots) root = std::sqrt(root);
  const float first = roots.front();
  const float last = roots.back();
  float previous = 1;
  for (std::size_t i = 0; i < roots.size(); ++i) {
    const float root = (roots[i] - last) * (first / (first - last));
    const float bar = root * root;
    betas[i] = 1.0F - (i == 0 ? bar : bar / previous);
    previous = bar;
  }
}

/// numpy.arange(start, 0, -step).round() - 1
std::vector<double> trailing_timesteps(std::int64_t start, std::int64_t total, std::int64_t steps) {
  const double step = static_cast<double>(total) / static_cast<double>(steps);
  const auto first = static_cast<double>(start);
  const double delta = (first - step) - first;
  const auto count = static_cast<std::int64_t>(std::ceil(first / step));
  std::vector<double> timesteps;
  for (std::int64_t i = 0; i < count; ++i) {
    timesteps.push_back(std::nearbyint(first + static_cast<double>(i) * delta) - 1);
  }
  return timesteps;
}

std::vector<double> leading_timesteps(std::int64_t points, std::int64_t ratio, std::int64_t offset,
                                      std::int64_t count) {
  std::vector<double> timesteps;
  for (std::int64_t i = 0; i < count; ++i) {
    timesteps.push_back(static_cast<double>((points - 1 - i) * ratio + offset));
  }
  return timesteps;
}

}  // namespace

std::vector<float> cumulative_alphas(const SchedulerConfig& config, TerminalSnr terminal) {
  std::vector<float> betas = training_betas(config);
  if (config.rescale_betas_zero_snr) rescale_zero_terminal_snr(betas);
  for (float& beta : betas) beta = 1.0F - beta;
  std::vector<float> alphas = cumulative_product(betas);
  if (config.rescale_betas_zero_snr && terminal == TerminalSnr::at_least_tiny) {
    alphas.back() = 0x1p-24F;
  }
  const std::size_t inner = alphas.size() - (config.rescale_betas_zero_snr ? 1 : 0);
  for (std::size_t i = 0; i < inner; ++i) {
    if (alphas[i] > 0 && alphas[i] < 1) continue;
    bad_input(
        "the betas of the config leave a share of signal of {} at training step {}, expected "
        "between 0 and 1: check "
        "beta_start, beta_end and trained_betas",
        alphas[i], i);
  }
  return alphas;
}

TrainingSigmas training_sigmas(std::span<const float> alphas) {
  TrainingSigmas result;
  for (const float alpha : alphas) {
    result.sigmas.push_back(std::sqrt((1.0F - alpha) / alpha));
    result.log_sigmas.push_back(std::log(result.sigmas.back()));
  }
  return result;
}

std::vector<double> spaced_timesteps(const SchedulerConfig& config, std::int64_t steps,
                                     TimestepForm form) {
  const std::int64_t total = config.num_train_timesteps;
  if (config.timestep_spacing == TimestepSpacing::leading) {
    return leading_timesteps(steps, total / steps, config.steps_offset, steps);
  }
  if (config.timestep_spacing == TimestepSpacing::trailing) {
    return trailing_timesteps(total, total, steps);
  }
  std::vector<double> timesteps = linspace(0, static_cast<double>(total - 1), steps);
  std::reverse(timesteps.begin(), timesteps.end());
  for (double& t : timesteps) {
    t = form == TimestepForm::integer ? std::nearbyint(t) : t;
  }
  return timesteps;
}

std::vector<double> solver_timesteps(const SchedulerConfig& config, std::int64_t steps,
                                     std::int64_t last) {
  if (config.timestep_spacing == TimestepSpacing::leading) {
    return leading_timesteps(steps + 1, last / (steps + 1), config.steps_offset, steps);
  }
  if (config.timestep_spacing == TimestepSpacing::trailing) {
    return trailing_timesteps(last, config.num_train_timesteps, steps);
  }
  std::vector<double> timesteps = linspace(0, static_cast<double>(last - 1), steps + 1);
  std::reverse(timesteps.begin(), timesteps.end());
  timesteps.pop_back();
  for (double& t : timesteps) t = std::nearbyint(t);
  return timesteps;
}

std::int64_t unclipped_timesteps(const SchedulerConfig& config, std::span<const float> alphas) {
  std::int64_t kept = 0;
  for (const float alpha : alphas) {
    const float lambda = std::log(std::sqrt(alpha)) - std::log(std::sqrt(1.0F - alpha));
    if (static_cast<double>(lambda) >= config.lambda_min_clipped) ++kept;
  }
  if (kept < 2) {
    bad_input("field \"lambda_min_clipped\" is {}, which leaves {} of {} training steps",
              config.lambda_min_clipped, kept, alphas.size());
  }
  return kept;
}

std::vector<double> linspace(double start, double stop, std::int64_t count) {
  if (count == 1) return {start};
  const double step = (stop - start) / static_cast<double>(count - 1);
  std::vector<double> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<double>(i) * step + start);
  values.back() = stop;
  return values;
}

double interpolate(double x, std::span<const float> values) {
  const std::size_t last = values.size() - 1;
  if (!(x > 0)) return static_cast<double>(values.front());
  if (x >= static_cast<double>(last)) return static_cast<double>(values[last]);
  const auto low = static_cast<std::size_t>(x);
  const auto value = static_cast<double>(values[low]);
  const double slope = static_cast<double>(values[low + 1]) - value;
  return slope * (x - static_cast<double>(low)) + value;
}

float alpha_at(std::span<const float> alphas, double timestep) {
  if (!(timestep >= 0 && timestep < static_cast<double>(alphas.size()))) {
    fail(ErrorCode::usage,
         "timestep {} is outside of the {} training steps: use fewer steps, or a smaller "
         "steps_offset",
         timestep, alphas.size());
  }
  return alphas[static_cast<std::size_t>(timestep)];
}

}  // namespace tenon::pipelines
