// UniPC (Zhao et al. 2023; diffusers' UniPCMultistepScheduler): a multistep predictor, and a
// corrector that uses the model's next output before the step goes on from it.
#include <algorithm>
#include <array>
#include <cmath>

#include "pipelines/text_to_image/schedulers/schedulers.h"
#include "pipelines/text_to_image/schedulers/solver_scheduler.h"

namespace tenon::pipelines {
namespace {

constexpr std::size_t kMaxOrder = 3;
using Vector = std::array<float, kMaxOrder>;
using Matrix = std::array<Vector, kMaxOrder>;

/// Gauss's elimination with row pivots of the leading n x n part.
Vector solve(Matrix a, Vector b, std::size_t n) {
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i) {
      if (std::fabs(a[i][k]) > std::fabs(a[pivot][k])) pivot = i;
    }
    std::swap(a[k], a[pivot]);
    std::swap(b[k], b[pivot]);
    for (std::size_t i = k + 1; i < n; ++i) {
      const float factor = a[i][k] / a[k][k];
      for (std::size_t j = k; j < n; ++j) a[i][j] -= factor * a[k][j];
      b[i] -= factor * b[k];
    }
  }
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t j = k + 1; j < n; ++j) b[k] -= a[k][j] * b[j];
    b[k] /= a[k][k];
  }
  return b;
}

class Unipc : public SolverScheduler {
 public:
  explicit Unipc(SchedulerConfig config)
      : SolverScheduler(std::move(config), TerminalSnr::at_least_tiny) {}

 protected:
  void plan(std::int64_t steps) override {
    const SigmaPlan plan =
        plan_solver_sigmas(config(), training_, steps, config().num_train_timesteps, true);
    const bool to_zero = config().final_sigmas_type == FinalSigma::zero;
    const float smallest =
        respaces(config()) ? static_cast<float>(plan.sigmas.back()) : training_.sigmas.front();
    take_plan(plan, to_zero ? 0.0F : smallest);
    last_sample_.clear();
  }

  void advance(std::span<const float> model_output, std::size_t at, std::span<float> sample,
               NoiseSource& /*noise*/) override {
    std::vector<float> model = converted(config().predict_x0, model_output, at, sample);
    if (corrects(at)) correct(at, model, sample);
    remember(std::move(model));

    std::size_t order = static_cast<std::size_t>(config().solver_order);
    if (config().lower_order_final) order = std::min(order, timesteps_.size() - at);
    order_ = std::min(order, known_outputs());
    last_sample_.assign(sample.begin(), sample.end());
    predict(at, sample);
  }

 private:
  /// The equations of one step from `from` to `to`, with the levels before `from` as supports.
  struct Step {
    float sample;    ///< weight of the sample
    float model;     ///< weight of the newest output
    float residual;  ///< weight of the weighted differences
    Vector ratios;   ///< of the supports' lambdas to the step, order - 1 of them, and 1
    Matrix r;
    Vector b;
  };

  bool corrects(std::size_t at) const {
    if (at == 0 || last_sample_.empty()) return false;
    const auto& disabled = config().disable_corrector;
    return std::find(disabled.begin(), disabled.end(), static_cast<std::int64_t>(at) - 1) ==
           disabled.end();
  }

  Step equations(std::size_t from_at, std::size_t order) const {
    const Level from = level(from_at);
    const Level to = level(from_at + 1);
    const bool clean = config().predict_x0;
    const float h = to.lambda - from.lambda;
    const float hh = clean ? -h : h;
    const float phi_1 = std::expm1(hh);
    const float b_h = config().unipc_solver_type == UnipcSolver::bh1 ? hh : phi_1;

    Step step{};
    step.sample = clean ? to.sigma / from.sigma : to.alpha / from.alpha;
    const float scale = clean ? to.alpha : to.sigma;
    step.model = -(scale * phi_1);
    step.residual = -(scale * b_h);
    for (std::size_t i = 1; i < order; ++i) {
      step.ratios[i - 1] = (level(from_at - i).lambda - from.lambda) / h;
    }
    step.ratios[order - 1] = 1;
    float phi_k = phi_1 / hh - 1.0F;
    float factorial = 1;
    for (std::size_t i = 0; i < order; ++i) {
      for (std::size_t k = 0; k < order; ++k) {
        step.r[i][k] = i == 0 ? 1.0F : step.r[i - 1][k] * step.ratios[k];
      }
      step.b[i] = phi_k * factorial / b_h;
      factorial *= static_cast<float>(i + 2);
      phi_k = phi_k / hh - 1.0F / factorial;
    }
    return step;
  }

  /// sum of weights[k] * (output of k + 1 calls ago - newest) / ratio
  std::vector<float> residual(const Step& step, const Vector& weights, std::size_t count) const {
    std::vector<float> sum(output(0).size());
    for (std::size_t k = 0; k < count; ++k) {
      for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] += weights[k] * ((output(k + 1)[i] - output(0)[i]) / step.ratios[k]);
      }
    }
    return sum;
  }

  void predict(std::size_t at, std::span<float> sample) const {
    const Step step = equations(at, order_);
    const std::vector<Term> base = {{step.sample, sample}, {step.model, output(0)}};
    combine(base, sample);
    if (order_ == 1) return;
    const Vector weights = order_ == 2 ? Vector{0.5F} : solve(step.r, step.b, order_ - 1);
    const std::vector<float> change = residual(step, weights, order_ - 1);
    for (std::size_t i = 0; i < sample.size(); ++i) sample[i] += step.residual * change[i];
  }

  void correct(std::size_t at, std::span<const float> model, std::span<float> sample) const {
    const Step step = equations(at - 1, order_);
    const Vector weights = order_ == 1 ? Vector{0.5F} : solve(step.r, step.b, order_);
    std::vector<float> change = residual(step, weights, order_ - 1);
    for (std::size_t i = 0; i < change.size(); ++i) {
      change[i] += weights[order_ - 1] * (model[i] - output(0)[i]);
    }
    const std::vector<Term> terms = {
        {step.sample, last_sample_}, {step.model, output(0)}, {step.residual, change}};
    combine(terms, sample);
  }

  std::vector<float> last_sample_;  // before the last prediction; empty at the start
  std::size_t order_ = 1;           // of the last prediction
};

}  // namespace

std::unique_ptr<Scheduler> make_unipc(SchedulerConfig config) {
  return std::make_unique<Unipc>(std::move(config));
}

}  // namespace tenon::pipelines
