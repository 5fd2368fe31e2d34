// DPM-Solver++ as a stochastic equation with a midpoint (diffusers' DPMSolverSDEScheduler); its
// noise is one Brownian motion over sigma.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "pipelines/text_to_image/schedulers/brownian_tree.h"
#include "pipelines/text_to_image/schedulers/prediction.h"
#include "pipelines/text_to_image/schedulers/schedulers.h"
#include "pipelines/text_to_image/schedulers/sigma_scheduler.h"

namespace tenon::pipelines {
namespace {

class DpmSde : public SigmaScheduler {
 public:
  explicit DpmSde(SchedulerConfig config) : SigmaScheduler(std::move(config), TerminalSnr::as_is) {
    require_epsilon_or_velocity(this->config(), "DPMSolverSDEScheduler");
  }

  void scale_model_input(std::span<float> sample, std::size_t index) const override {
    scale_to_unit_variance(sample, at_middle_ ? middle_sigma_ : sigmas_[begin() + index]);
  }

 protected:
  std::size_t calls_per_step() const override { return 2; }

  void plan(std::int64_t steps) override {
    const SigmaPlan plan = plan_sigmas(config(), training_, steps, TimestepForm::real);
    sigmas_.clear();
    timesteps_.clear();
    for (std::size_t i = 0; i < plan.sigmas.size(); ++i) {
      if (i > 0) {
        const double start = -std::log(plan.sigmas[i - 1]);
        const double middle = start + (-std::log(plan.sigmas[i]) - start) * 0.5;
        timesteps_.push_back(sigma_to_timestep(std::exp(-middle), training_.log_sigmas));
        sigmas_.push_back(static_cast<float>(plan.sigmas[i]));
      }
      timesteps_.push_back(plan.timesteps[i]);
      sigmas_.push_back(static_cast<float>(plan.sigmas[i]));
    }
    sigmas_.push_back(0);
    trees_.clear();
    start_.clear();
    at_middle_ = false;
  }

  void advance(std::span<const float> model_output, std::size_t at, std::span<float> sample,
               NoiseSource& noise) override {
    if (trees_.empty()) plant(sample.size(), noise);
    const float sigma = sigmas_[at_middle_ ? at - 1 : at];
    const float next = sigmas_[at_middle_ ? at : at + 1];
    const float t = -std::log(sigma);
    const float middle = t + (-std::log(next) - t) * 0.5F;
    const std::vector<float> clean = clean_of_unscaled(
        config().prediction_type, at_middle_ ? std::exp(-middle) : sigma, model_output, sample);
    if (next == 0) {
      for (std::size_t i = 0; i < sample.size(); ++i) {
        sample[i] += (sample[i] - clean[i]) / sigma * (next - sigma);
      }
      return;
    }
    const std::vector<float> start =
        at_middle_ ? start_ : std::vector<float>(sample.begin(), sample.end());
    move(t, at_middle_ ? -std::log(next) : middle, start, clean, sample);
    if (!at_middle_) {
      start_ = start;
      middle_sigma_ = std::exp(-middle);
    }
    at_middle_ = !at_middle_;
  }

 private:
  /// From t to `target` (both -log sigma): below the target's level, and noise up to it.
  void move(float t, float target, std::span<const float> start, std::span<const float> clean,
            std::span<float> out) const {
    const float from = std::exp(-t);
    const float to = std::exp(-target);
    const float up = std::min(to, std::sqrt(to * to * (from * from - to * to) / (from * from)));
    const float down_t = -std::log(std::sqrt(to * to - up * up));
    const float of_start = std::exp(-down_t) / std::exp(-t);
    const float of_clean = -std::expm1(t - down_t);
    const float deviation = std::sqrt(std::fabs(to - from));
    const std::vector<float> increment = increments(to, from);
    for (std::size_t i = 0; i < out.size(); ++i) {
      // Time runs from high sigma to low: the increment is that of the path backwards.
      out[i] = of_start * start[i] + of_clean * clean[i] - increment[i] / deviation * up;
    }
  }

  std::vector<float> increments(float low, float high) const {
    std::vector<float> all;
    for (const BrownianTree& tree : trees_) {
      const std::vector<float> part =
          tree.increment(static_cast<double>(low), static_cast<double>(high));
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

  /// One tree for the whole batch with the seed of the config. Without one, diffusers draws a seed
  /// from torch's global generator; here it is drawn from the generators of the request, one tree
  /// each.
  void plant(std::size_t size, NoiseSource& noise) {
    float lowest = std::numeric_limits<float>::max();
    for (const float sigma : sigmas_) lowest = sigma > 0 ? std::min(lowest, sigma) : lowest;
    const float highest = *std::max_element(sigmas_.begin(), sigmas_.end());
    const auto plant_one = [&](std::uint64_t seed, std::size_t share) {
      trees_.emplace_back(static_cast<double>(lowest), static_cast<double>(highest), seed, share);
    };
    if (config().noise_sampler_seed) return plant_one(*config().noise_sampler_seed, size);
    for (std::size_t i = 0; i < noise.generators(); ++i) {
      std::int64_t seed = 0;
      noise.generator(i).randint(0, std::numeric_limits<std::int64_t>::max(), {&seed, 1});
      plant_one(static_cast<std::uint64_t>(seed), size / noise.generators());
    }
  }

  std::vector<BrownianTree> trees_;
  std::vector<float> start_;  // the sample before the midpoint
  bool at_middle_ = false;
  float middle_sigma_ = 0;
};

}  // namespace

std::unique_ptr<Scheduler> make_dpm_sde(SchedulerConfig config) {
  return std::make_unique<DpmSde>(std::move(config));
}

}  // namespace tenon::pipelines
