// PNDM (Liu et al. 2022; diffusers' PNDMScheduler): a linear multistep method over DDIM's transfer,
// started by Runge-Kutta steps or, with skip_prk_steps, by lower orders (PLMS).
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "pipelines/text_to_image/schedulers/prediction.h"
#include "pipelines/text_to_image/schedulers/schedule.h"
#include "pipelines/text_to_image/schedulers/schedulers.h"

namespace tenon::pipelines {
namespace {

constexpr std::size_t kOrder = 4;

class Pndm : public Scheduler {
 public:
  explicit Pndm(SchedulerConfig config)
      : Scheduler(std::move(config)),
        alphas_(cumulative_alphas(this->config(), TerminalSnr::as_is)),
        final_alpha_(this->config().set_alpha_to_one ? 1.0F : alphas_.front()) {
    require_epsilon_or_velocity(this->config(), "PNDMScheduler");
  }

  bool integer_timesteps() const override { return true; }

  void add_noise(std::span<const float> original, std::span<const float> noise, std::size_t index,
                 std::span<float> out) const override {
    const float alpha = alpha_at(alphas_, timesteps()[index]);
    mix_into({std::sqrt(alpha), std::sqrt(1.0F - alpha)}, original, noise, out);
  }

 protected:
  void plan(std::int64_t steps) override {
    stride_ = config().num_train_timesteps / steps;
    const std::vector<double> points = spaced_timesteps(config(), steps, TimestepForm::integer);
    timesteps_ = config().skip_prk_steps ? plms_timesteps(points) : prk_timesteps(points);
    history_.clear();
    counter_ = 0;
    mean_.clear();
    kept_sample_.clear();
  }

  void advance(std::span<const float> model_output, std::size_t at, std::span<float> sample,
               NoiseSource& /*noise*/) override {
    if (counter_ < prk_count_) {
      prk_step(model_output, timesteps_[at], sample);
    } else {
      plms_step(model_output, timesteps_[at], sample);
    }
    ++counter_;
  }

 private:
  /// The second timestep comes twice: the first step is done again with the slope at its end.
  std::vector<double> plms_timesteps(std::vector<double> points) {
    prk_count_ = 0;
    if (points.size() > 1) points.insert(points.begin() + 1, points[1]);
    return points;
  }

  /// Four model calls for each of the first three steps, at both ends and twice in the middle.
  std::vector<double> prk_timesteps(const std::vector<double>& points) {
    if (points.size() < kOrder) {
      fail(
          ErrorCode::usage,
          "PNDMScheduler starts with Runge-Kutta steps and needs at least {} steps, found {}: more "
          "steps, or skip_prk_steps in its config",
          kOrder, points.size());
    }
    const auto half = static_cast<double>(stride_ / 2);
    std::vector<double> timesteps;
    for (std::size_t i = 0; i + 1 < kOrder; ++i) {
      const double middle = points[i + 1] + half;
      timesteps.insert(timesteps.end(), {points[i], middle, middle, points[i + 1]});
    }
    prk_count_ = timesteps.size();
    prk_timesteps_ = timesteps;
    timesteps.insert(timesteps.end(), points.begin() + (kOrder - 1), points.end());
    return timesteps;
  }

  void prk_step(std::span<const float> model_output, double timestep, std::span<float> sample) {
    const double back = counter_ % 2 != 0 ? 0 : static_cast<double>(stride_ / 2);
    const double start = prk_timesteps_[counter_ / 4 * 4];
    const std::size_t stage = counter_ % 4;
    std::vector<float> slope(model_output.begin(), model_output.end());
    if (stage == 0) {
      mean_.assign(sample.size(), 0);
      history_.emplace_back(slope);
      kept_sample_.assign(sample.begin(), sample.end());
    }
    const float weight = static_cast<float>(stage == 0 || stage == 3 ? 1.0 / 6 : 1.0 / 3);
    for (std::size_t i = 0; i < mean_.size(); ++i) mean_[i] += weight * model_output[i];
    if (stage == 3) slope = mean_;
    transfer(kept_sample_, start, timestep - back, slope, sample);
  }

  void plms_step(std::span<const float> model_output, double timestep, std::span<float> sample) {
    const auto stride = static_cast<double>(stride_);
    double previous = timestep - stride;
    std::vector<float> slope(model_output.begin(), model_output.end());
    if (counter_ != 1) {
      if (history_.size() > kOrder - 1)
        history_.erase(history_.begin(), history_.end() - (kOrder - 1));
      history_.push_back(slope);
    } else {
      previous = timestep;
      timestep += stride;
    }
    std::vector<float> from(sample.begin(), sample.end());
    const std::size_t known = history_.size();
    const auto past = [&](std::size_t age, std::size_t i) { return history_[known - age][i]; };
    if (known == 1 && counter_ == 0) {
      kept_sample_ = from;
    } else if (known == 1 && counter_ == 1) {
      for (std::size_t i = 0; i < slope.size(); ++i) slope[i] = (slope[i] + past(1, i)) / 2;
      from = kept_sample_;
    } else {
      for (std::size_t i = 0; i < slope.size(); ++i) {
        if (known == 2) {
          slope[i] = (3 * past(1, i) - past(2, i)) / 2;
        } else if (known == 3) {
          slope[i] = (23 * past(1, i) - 16 * past(2, i) + 5 * past(3, i)) / 12;
        } else {
          slope[i] = static_cast<float>(1.0 / 24) *
                     (55 * past(1, i) - 59 * past(2, i) + 37 * past(3, i) - 9 * past(4, i));
        }
      }
    }
    transfer(from, timestep, previous, slope, sample);
  }

  /// Equation 9 of the paper: from `timestep` to `previous` along `slope`.
  void transfer(std::span<const float> from, double timestep, double previous,
                std::span<const float> slope, std::span<float> out) const {
    const float alpha = alpha_at(alphas_, timestep);
    const float alpha_previous = previous >= 0 ? alpha_at(alphas_, previous) : final_alpha_;
    const float beta = 1.0F - alpha;
    const std::vector<float> epsilon =
        epsilon_of(config().prediction_type, {std::sqrt(alpha), std::sqrt(beta)}, slope, from);
    const float of_sample = std::sqrt(alpha_previous / alpha);
    const float divisor =
        alpha * std::sqrt(1.0F - alpha_previous) + std::sqrt(alpha * beta * alpha_previous);
    const float difference = alpha_previous - alpha;
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = of_sample * from[i] - difference * epsilon[i] / divisor;
    }
  }

  std::vector<float> alphas_;
  float final_alpha_;
  std::int64_t stride_ = 0;
  std::size_t prk_count_ = 0;
  std::vector<double> prk_timesteps_;
  std::size_t counter_ = 0;
  std::vector<std::vector<float>> history_;  // slopes, newest last
  std::vector<float> mean_;                  // of the slopes of one Runge-Kutta step
  std::vector<float> kept_sample_;           // where the step began
};

}  // namespace

std::unique_ptr<Scheduler> make_pndm(SchedulerConfig config) {
  return std::make_unique<Pndm>(std::move(config));
}

}  // namespace tenon::pipelines
