// Euler's method (Karras et al. 2022, algorithm 2 without churn; diffusers'
// EulerDiscreteScheduler).
#include <cmath>

#include "pipelines/text_to_image/schedulers/prediction.h"
#include "pipelines/text_to_image/schedulers/schedulers.h"
#include "pipelines/text_to_image/schedulers/sigma_scheduler.h"

namespace tenon::pipelines {
namespace {

class Euler : public SigmaScheduler {
 public:
  explicit Euler(SchedulerConfig config)
      : SigmaScheduler(std::move(config), TerminalSnr::at_least_tiny) {}

 protected:
  void plan(std::int64_t steps) override {
    SigmaPlan plan = plan_sigmas(config(), training_, steps, TimestepForm::real);
    if (config().interpolate_log_linear) interpolate_logarithms(steps, plan);
    const bool to_zero = config().final_sigmas_type == FinalSigma::zero;
    sigmas_ = sigma_levels(plan, to_zero ? 0.0F : training_.sigmas.front());
    timesteps_ = rounded_to_float(std::move(plan.timesteps));
    if (config().continuous_timesteps && config().prediction_type == PredictionType::v_prediction) {
      timesteps_.clear();
      for (std::size_t i = 0; i + 1 < sigmas_.size(); ++i) {
        timesteps_.push_back(static_cast<double>(0.25F * std::log(sigmas_[i])));
      }
    }
  }

  void advance(std::span<const float> model_output, std::size_t at, std::span<float> sample,
               NoiseSource& /*noise*/) override {
    const float sigma = sigmas_[at];
    const float width = sigmas_[at + 1] - sigma;
    const std::vector<float> clean =
        clean_of_unscaled(config().prediction_type, sigma, model_output, sample);
    for (std::size_t i = 0; i < sample.size(); ++i) {
      sample[i] += (sample[i] - clean[i]) / sigma * width;
    }
  }

 private:
  /// Even steps of log sigma over all of training; one level more than there are timesteps.
  void interpolate_logarithms(std::int64_t steps, SigmaPlan& plan) const {
    const auto high = static_cast<double>(training_.log_sigmas.back());
    const auto low = static_cast<double>(training_.log_sigmas.front());
    std::vector<double> sigmas = linspace(high, low, steps + 1);
    for (double& sigma : sigmas) sigma = std::exp(sigma);
    if (respaces(config())) {
      plan = respaced(config(), training_, sigmas.front(), sigmas.back(), steps);
    } else {
      plan.sigmas = std::move(sigmas);
    }
  }
};

}  // namespace

std::unique_ptr<Scheduler> make_euler(SchedulerConfig config) {
  return std::make_unique<Euler>(std::move(config));
}

}  // namespace tenon::pipelines
