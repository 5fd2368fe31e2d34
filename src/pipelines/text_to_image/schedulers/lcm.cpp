// Latent consistency models (Luo et al. 2023, algorithm 3; diffusers' LCMScheduler): every call of
// the model gives a clean sample, which gets noise again for the next level.
#include <cmath>

#include "base/error.h"
#include "pipelines/text_to_image/schedulers/prediction.h"
#include "pipelines/text_to_image/schedulers/schedule.h"
#include "pipelines/text_to_image/schedulers/schedulers.h"

namespace tenon::pipelines {
namespace {

constexpr double kDataDeviation = 0.5;

class Lcm : public Scheduler {
 public:
  explicit Lcm(SchedulerConfig config)
      : Scheduler(std::move(config)),
        alphas_(cumulative_alphas(this->config(), TerminalSnr::as_is)) {
    if (this->config().original_inference_steps > this->config().num_train_timesteps) {
      bad_input(
          "field \"original_inference_steps\" is {}, expected at most num_train_timesteps = {}",
          this->config().original_inference_steps, this->config().num_train_timesteps);
    }
  }

  bool integer_timesteps() const override { return true; }

  void add_noise(std::span<const float> original, std::span<const float> noise, std::size_t index,
                 std::span<float> out) const override {
    const float alpha = alpha_at(alphas_, timesteps()[index]);
    mix_into({std::sqrt(alpha), std::sqrt(1.0F - alpha)}, original, noise, out);
  }

 protected:
  void plan(std::int64_t steps) override {
    const std::int64_t distilled = config().original_inference_steps;
    if (steps > distilled) {
      fail(ErrorCode::usage,
           "{} steps were asked for, LCMScheduler has {} (original_inference_steps)", steps,
           distilled);
    }
    const std::int64_t stride = config().num_train_timesteps / distilled;
    timesteps_.clear();
    for (std::int64_t i = 0; i < steps; ++i) {
      // numpy.linspace(0, distilled, steps, endpoint=False), rounded down
      const double place =
          static_cast<double>(i) * (static_cast<double>(distilled) / static_cast<double>(steps));
      const std::int64_t rank = distilled - static_cast<std::int64_t>(place);
      timesteps_.push_back(static_cast<double>(rank * stride - 1));
    }
  }

  void advance(std::span<const float> model_output, std::size_t at, std::span<float> sample,
               NoiseSource& noise) override {
    const double timestep = timesteps_[at];
    const float alpha = alpha_at(alphas_, timestep);
    std::vector<float> clean =
        clean_of(config().prediction_type, {std::sqrt(alpha), std::sqrt(1.0F - alpha)},
                 model_output, sample);
    restrain(config(), clean, static_cast<std::size_t>(request().images));

    // Diffusers computes both coefficients in float32 from the integral timestep.
    const float scaled =
        static_cast<float>(timestep) * static_cast<float>(config().timestep_scaling);
    const auto data_variance = static_cast<float>(kDataDeviation * kDataDeviation);
    const float variance = scaled * scaled + data_variance;
    mix_into({scaled / std::sqrt(variance), data_variance / variance}, clean, sample, sample);

    if (at + 1 == timesteps_.size()) return;
    const float next = alpha_at(alphas_, timesteps_[at + 1]);
    std::vector<float> fresh(sample.size());
    noise.normal(fresh);
    mix_into({std::sqrt(next), std::sqrt(1.0F - next)}, sample, fresh, sample);
  }

 private:
  std::vector<float> alphas_;
};

}  // namespace

std::unique_ptr<Scheduler> make_lcm(SchedulerConfig config) {
  return std::make_unique<Lcm>(std::move(config));
}

}  // namespace tenon::pipelines
