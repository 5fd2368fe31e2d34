// Linear multistep method of order four over sigmas (diffusers' LMSDiscreteScheduler).
#include <algorithm>
#include <cmath>

#include "pipelines/text_to_image/schedulers/prediction.h"
#include "pipelines/text_to_image/schedulers/schedulers.h"
#include "pipelines/text_to_image/schedulers/sigma_scheduler.h"

namespace tenon::pipelines {
namespace {

constexpr std::size_t kOrder = 4;

class Lms : public SigmaScheduler {
 public:
  explicit Lms(SchedulerConfig config) : SigmaScheduler(std::move(config), TerminalSnr::as_is) {}

 protected:
  void plan(std::int64_t steps) override {
    SigmaPlan plan = plan_sigmas(config(), training_, steps, TimestepForm::real);
    sigmas_ = sigma_levels(plan, 0);
    timesteps_ = rounded_to_float(std::move(plan.timesteps));
    slopes_.clear();
  }

  void advance(std::span<const float> model_output, std::size_t at, std::span<float> sample,
               NoiseSource& /*noise*/) override {
    const float sigma = sigmas_[at];
    const std::vector<float> clean =
        clean_of_unscaled(config().prediction_type, sigma, model_output, sample);
    std::vector<float> slope(sample.size());
    for (std::size_t i = 0; i < sample.size(); ++i) slope[i] = (sample[i] - clean[i]) / sigma;
    slopes_.push_back(std::move(slope));
    if (slopes_.size() > kOrder) slopes_.erase(slopes_.begin());

    const std::size_t order = std::min(at + 1, kOrder);
    std::vector<float> change(sample.size());
    for (std::size_t k = 0; k < std::min(order, slopes_.size()); ++k) {
      const auto weight = static_cast<float>(coefficient(order, at, k));
      const std::vector<float>& past = slopes_[slopes_.size() - 1 - k];
      for (std::size_t i = 0; i < change.size(); ++i) change[i] += weight * past[i];
    }
    for (std::size_t i = 0; i < sample.size(); ++i) sample[i] += change[i];
  }

 private:
  /// Lagrange's polynomial that is 1 at the level k steps ago and 0 at the other levels of the last
  /// `order`, integrated over the step. Two points of Gauss are exact up to the third degree.
  double coefficient(std::size_t order, std::size_t at, std::size_t k) const {
    const auto level = [&](std::size_t age) { return static_cast<double>(sigmas_[at - age]); };
    const auto polynomial = [&](double sigma) {
      double product = 1;
      for (std::size_t j = 0; j < order; ++j) {
        if (j != k) product *= (sigma - level(j)) / (level(k) - level(j));
      }
      return product;
    };
    const double start = level(0);
    const double half = (static_cast<double>(sigmas_[at + 1]) - start) / 2;
    const double offset = half / std::sqrt(3.0);
    return half * (polynomial(start + half - offset) + polynomial(start + half + offset));
  }

  std::vector<std::vector<float>> slopes_;  // newest last
};

}  // namespace

std::unique_ptr<Scheduler> make_lms(SchedulerConfig config) {
  return std::make_unique<Lms>(std::move(config));
}

}  // namespace tenon::pipelines
