// DDIM (Song et al. 2020, equation 12; diffusers' DDIMScheduler).
#include <cmath>

#include "pipelines/text_to_image/schedulers/prediction.h"
#include "pipelines/text_to_image/schedulers/schedule.h"
#include "pipelines/text_to_image/schedulers/schedulers.h"

namespace tenon::pipelines {
namespace {

class Ddim : public Scheduler {
 public:
  explicit Ddim(SchedulerConfig config)
      : Scheduler(std::move(config)),
        alphas_(cumulative_alphas(this->config(), TerminalSnr::as_is)),
        final_alpha_(this->config().set_alpha_to_one ? 1.0F : alphas_.front()) {}

  bool integer_timesteps() const override { return true; }

  void add_noise(std::span<const float> original, std::span<const float> noise, std::size_t index,
                 std::span<float> out) const override {
    const float alpha = alpha_at(alphas_, timesteps()[index]);
    mix_into({std::sqrt(alpha), std::sqrt(1.0F - alpha)}, original, noise, out);
  }

 protected:
  void plan(std::int64_t steps) override {
    stride_ = static_cast<double>(config().num_train_timesteps / steps);
    timesteps_ = spaced_timesteps(config(), steps, TimestepForm::integer);
  }

  void advance(std::span<const float> model_output, std::size_t at, std::span<float> sample,
               NoiseSource& noise) override {
    const double previous = timesteps_[at] - stride_;
    const float alpha = alpha_at(alphas_, timesteps_[at]);
    const float alpha_previous = previous >= 0 ? alpha_at(alphas_, previous) : final_alpha_;
    const Mix mix{std::sqrt(alpha), std::sqrt(1.0F - alpha)};

    std::vector<float> clean = clean_of(config().prediction_type, mix, model_output, sample);
    const std::vector<float> epsilon =
        epsilon_of(config().prediction_type, mix, model_output, sample);
    restrain(config(), clean, static_cast<std::size_t>(request().images));

    const float variance =
        (1.0F - alpha_previous) / (1.0F - alpha) * (1.0F - alpha / alpha_previous);
    const float deviation = static_cast<float>(request().eta) * std::sqrt(variance);
    const float direction = std::sqrt(1.0F - alpha_previous - deviation * deviation);
    mix_into({std::sqrt(alpha_previous), direction}, clean, epsilon, sample);
    if (request().eta > 0) {
      std::vector<float> fresh(sample.size());
      noise.normal(fresh);
      mix_into({1, deviation}, sample, fresh, sample);
    }
  }

 private:
  std::vector<float> alphas_;
  float final_alpha_;
  double stride_ = 0;
};

}  // namespace

std::unique_ptr<Scheduler> make_ddim(SchedulerConfig config) {
  return std::make_unique<Ddim>(std::move(config));
}

}  // namespace tenon::pipelines
