// Euler's method with ancestral noise (diffusers' EulerAncestralDiscreteScheduler): each step goes
// below its level and noise fills up what is missing.
#include <cmath>

#include "pipelines/text_to_image/schedulers/prediction.h"
#include "pipelines/text_to_image/schedulers/schedulers.h"
#include "pipelines/text_to_image/schedulers/sigma_scheduler.h"

namespace tenon::pipelines {
namespace {

class EulerAncestral : public SigmaScheduler {
 public:
  explicit EulerAncestral(SchedulerConfig config)
      : SigmaScheduler(std::move(config), TerminalSnr::at_least_tiny) {
    require_epsilon_or_velocity(this->config(), "EulerAncestralDiscreteScheduler");
  }

 protected:
  void plan(std::int64_t steps) override {
    SigmaPlan plan = plan_sigmas(config(), training_, steps, TimestepForm::real);
    sigmas_ = sigma_levels(plan, 0);
    timesteps_ = rounded_to_float(std::move(plan.timesteps));
  }

  void advance(std::span<const float> model_output, std::size_t at, std::span<float> sample,
               NoiseSource& noise) override {
    const float from = sigmas_[at];
    const float to = sigmas_[at + 1];
    const float from_squared = from * from;
    const float to_squared = to * to;
    const float up = std::sqrt(to_squared * (from_squared - to_squared) / from_squared);
    const float down = std::sqrt(to_squared - up * up);
    const float width = down - from;
    const std::vector<float> clean =
        clean_of_unscaled(config().prediction_type, from, model_output, sample);
    std::vector<float> fresh(sample.size());
    noise.normal(fresh);
    for (std::size_t i = 0; i < sample.size(); ++i) {
      sample[i] += (sample[i] - clean[i]) / from * width;
      sample[i] += fresh[i] * up;
    }
  }
};

}  // namespace

std::unique_ptr<Scheduler> make_euler_ancestral(SchedulerConfig config) {
  return std::make_unique<EulerAncestral>(std::move(config));
}

}  // namespace tenon::pipelines
