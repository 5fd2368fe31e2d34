// DDPM (Ho et al. 2020, equations 6, 7 and 15; diffusers' DDPMScheduler).
#include <algorithm>
#include <cmath>

#include "pipelines/text_to_image/schedulers/prediction.h"
#include "pipelines/text_to_image/schedulers/schedule.h"
#include "pipelines/text_to_image/schedulers/schedulers.h"

namespace tenon::pipelines {
namespace {

class Ddpm : public Scheduler {
 public:
  explicit Ddpm(SchedulerConfig config)
      : Scheduler(std::move(config)),
        alphas_(cumulative_alphas(this->config(), TerminalSnr::as_is)) {}

  bool integer_timesteps() const override { return true; }

  void add_noise(std::span<const float> original, std::span<const float> noise, std::size_t index,
                 std::span<float> out) const override {
    const float alpha = alpha_at(alphas_, timesteps()[index]);
    mix_into({std::sqrt(alpha), std::sqrt(1.0F - alpha)}, original, noise, out);
  }

 protected:
  void plan(std::int64_t steps) override {
    timesteps_ = spaced_timesteps(config(), steps, TimestepForm::integer);
  }

  void advance(std::span<const float> model_output, std::size_t at, std::span<float> sample,
               NoiseSource& noise) override {
    const float alpha = alpha_at(alphas_, timesteps_[at]);
    const float alpha_previous =
        at + 1 < timesteps_.size() ? alpha_at(alphas_, timesteps_[at + 1]) : 1.0F;
    const float share = alpha / alpha_previous;
    const float beta = 1.0F - share;
    const float noise_share = 1.0F - alpha;
    const float noise_share_previous = 1.0F - alpha_previous;

    std::vector<float> clean = clean_of(
        config().prediction_type, {std::sqrt(alpha), std::sqrt(noise_share)}, model_output, sample);
    restrain(config(), clean, static_cast<std::size_t>(request().images));
    const float of_clean = std::sqrt(alpha_previous) * beta / noise_share;
    const float of_sample = std::sqrt(share) * noise_share_previous / noise_share;
    mix_into({of_clean, of_sample}, clean, sample, sample);

    if (timesteps_[at] <= 0) return;
    std::vector<float> fresh(sample.size());
    noise.normal(fresh);
    const float small = std::max(noise_share_previous / noise_share * beta, 1e-20F);
    mix_into({1, deviation(small, beta)}, sample, fresh, sample);
  }

 private:
  float deviation(float small, float large) const {
    switch (config().variance_type) {
      case VarianceType::fixed_small_log:
        return std::exp(0.5F * std::log(small));
      case VarianceType::fixed_large:
        return std::sqrt(large);
      case VarianceType::fixed_small:
        break;
    }
    return std::sqrt(small);
  }

  std::vector<float> alphas_;
};

}  // namespace

std::unique_ptr<Scheduler> make_ddpm(SchedulerConfig config) {
  return std::make_unique<Ddpm>(std::move(config));
}

}  // namespace tenon::pipelines
