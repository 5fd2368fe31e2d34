// DPM-Solver and DPM-Solver++ of order one to three whose steps group into larger ones (diffusers'
// DPMSolverSinglestepScheduler).
#include "base/error.h"
#include "pipelines/text_to_image/schedulers/dpm_coefficients.h"
#include "pipelines/text_to_image/schedulers/schedulers.h"

namespace tenon::pipelines {
namespace {

class DpmSinglestep : public SolverScheduler {
 public:
  explicit DpmSinglestep(SchedulerConfig config)
      : SolverScheduler(std::move(config), TerminalSnr::as_is),
        unclipped_(unclipped_timesteps(this->config(), alphas_)) {
    check_final_sigma(this->config());
    if (this->config().algorithm_type == DpmAlgorithm::sde_dpmsolver) {
      bad_input(
          "field \"algorithm_type\" is \"sde-dpmsolver\": DPMSolverSinglestepScheduler has "
          "dpmsolver, dpmsolver++ and "
          "sde-dpmsolver++");
    }
  }

 protected:
  void plan(std::int64_t steps) override {
    const bool to_zero = config().final_sigmas_type == FinalSigma::zero;
    take_plan(plan_solver_sigmas(config(), training_, steps, unclipped_, true),
              to_zero ? 0.0F : training_.sigmas.front());
    plan_orders(static_cast<std::size_t>(steps));
    start_.clear();
  }

  void advance(std::span<const float> model_output, std::size_t at, std::span<float> sample,
               NoiseSource& noise) override {
    const DpmAlgorithm algorithm = config().algorithm_type;
    remember(converted(predicts_clean(algorithm), model_output, at, sample));
    std::vector<float> fresh;
    if (adds_noise(algorithm)) {
      fresh.resize(sample.size());
      noise.normal(fresh);
    }
    const std::size_t order = std::min(orders_[at], known_outputs());
    if (order == 1) start_.assign(sample.begin(), sample.end());

    // A step of order n goes from n - 1 levels back, where its group began, to the next level.
    const DpmCoefficients c = dpm_coefficients(algorithm, level(at + 1 - order), level(at + 1));
    std::vector<float> first;
    std::vector<float> second;
    std::vector<Term> terms = {{c.sample, start_}, {c.model, output(order - 1)}};
    const bool heun = config().dpm_solver_type == DpmSolver::heun;
    if (order == 2) {
      difference_of_two(at, first);
      terms.push_back({heun ? c.heun : c.midpoint, first});
    } else if (order == 3) {
      differences_of_three(at, first, second);
      terms.push_back({c.heun, first});
      if (heun) terms.push_back({c.second, second});
    }
    if (!fresh.empty()) terms.push_back({c.noise, fresh});
    combine(terms, sample);
  }

 private:
  /// 1 .. order again and again; what is left over at the end goes in lower orders.
  void plan_orders(std::size_t steps) {
    const auto order = static_cast<std::size_t>(config().solver_order);
    const bool to_zero = config().final_sigmas_type == FinalSigma::zero;
    const bool lower_at_end = config().lower_order_final || steps % order != 0 || to_zero;
    orders_.clear();
    for (std::size_t i = 0; i < steps; ++i) orders_.push_back(i % order + 1);
    if (lower_at_end && steps % order == 0 && order > 1) orders_.back() = 1;
    if (to_zero) orders_.back() = 1;
  }

  void difference_of_two(std::size_t at, std::vector<float>& first) const {
    const float start = level(at - 1).lambda;
    const float r0 = (level(at).lambda - start) / (level(at + 1).lambda - start);
    first.resize(output(0).size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      first[i] = 1.0F / r0 * (output(0)[i] - output(1)[i]);
    }
  }

  /// `first` is that of the midpoint form, or with heun the one that goes with `second`.
  void differences_of_three(std::size_t at, std::vector<float>& first,
                            std::vector<float>& second) const {
    const float start = level(at - 2).lambda;
    const float h = level(at + 1).lambda - start;
    const float r0 = (level(at).lambda - start) / h;
    const float r1 = (level(at - 1).lambda - start) / h;
    const bool heun = config().dpm_solver_type == DpmSolver::heun;
    first.resize(output(0).size());
    second.resize(output(0).size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      const float older = 1.0F / r1 * (output(1)[i] - output(2)[i]);
      const float newer = 1.0F / r0 * (output(0)[i] - output(2)[i]);
      first[i] = heun ? (r0 * older - r1 * newer) / (r0 - r1) : newer;
      second[i] = 2.0F * (newer - older) / (r0 - r1);
    }
  }

  std::int64_t unclipped_;
  std::vector<std::size_t> orders_;
  std::vector<float> start_;  // the sample where the group began
};

}  // namespace

std::unique_ptr<Scheduler> make_dpm_singlestep(SchedulerConfig config) {
  return std::make_unique<DpmSinglestep>(std::move(config));
}

}  // namespace tenon::pipelines
