// Heun's method (Karras et al. 2022, algorithm 1 with rho = 7; diffusers' HeunDiscreteScheduler):
// Euler's step, then again with the mean of the slopes at both ends.
#include "pipelines/text_to_image/schedulers/prediction.h"
#include "pipelines/text_to_image/schedulers/schedulers.h"
#include "pipelines/text_to_image/schedulers/sigma_scheduler.h"

namespace tenon::pipelines {
namespace {

class Heun : public SigmaScheduler {
 public:
  explicit Heun(SchedulerConfig config) : SigmaScheduler(std::move(config), TerminalSnr::as_is) {}

 protected:
  std::size_t calls_per_step() const override { return 2; }

  void plan(std::int64_t steps) override {
    const SigmaPlan plan = plan_sigmas(config(), training_, steps, TimestepForm::real);
    const std::vector<double> points = rounded_to_float(plan.timesteps);
    sigmas_.clear();
    timesteps_.clear();
    for (std::size_t i = 0; i < points.size(); ++i) {
      // Every level but the first is met twice: at the end of a step and at the start of the next.
      for (int meeting = i == 0 ? 1 : 0; meeting < 2; ++meeting) {
        sigmas_.push_back(static_cast<float>(plan.sigmas[i]));
        timesteps_.push_back(points[i]);
      }
    }
    sigmas_.push_back(0);
    slope_.clear();
    start_.clear();
  }

  void advance(std::span<const float> model_output, std::size_t at, std::span<float> sample,
               NoiseSource& /*noise*/) override {
    const float sigma = sigmas_[at];
    std::vector<float> clean =
        clean_of_unscaled(config().prediction_type, sigma, model_output, sample);
    if (config().clip_sample) clip(clean, config().clip_sample_range);
    std::vector<float> slope(sample.size());
    for (std::size_t i = 0; i < sample.size(); ++i) slope[i] = (sample[i] - clean[i]) / sigma;

    if (slope_.empty()) {
      width_ = sigmas_[at + 1] - sigma;
      start_.assign(sample.begin(), sample.end());
      for (std::size_t i = 0; i < sample.size(); ++i) sample[i] += slope[i] * width_;
      slope_ = std::move(slope);
      return;
    }
    for (std::size_t i = 0; i < sample.size(); ++i) {
      sample[i] = start_[i] + (slope_[i] + slope[i]) / 2 * width_;
    }
    slope_.clear();
  }

 private:
  std::vector<float> slope_;  // of the first half of the step; empty before it
  std::vector<float> start_;
  float width_ = 0;
};

}  // namespace

std::unique_ptr<Scheduler> make_heun(SchedulerConfig config) {
  return std::make_unique<Heun>(std::move(config));
}

}  // namespace tenon::pipelines
