// DPM-Solver and DPM-Solver++ of order one to three from the outputs of past steps, deterministic
// or as a stochastic equation (diffusers' DPMSolverMultistepScheduler).
#include "base/error.h"
#include "pipelines/text_to_image/schedulers/dpm_coefficients.h"
#include "pipelines/text_to_image/schedulers/schedulers.h"

namespace tenon::pipelines {
namespace {

constexpr std::size_t kFewSteps = 15;  // fewer are unstable in high order at the end

class DpmMultistep : public SolverScheduler {
 public:
  explicit DpmMultistep(SchedulerConfig config)
      : SolverScheduler(std::move(config), TerminalSnr::at_least_tiny),
        unclipped_(unclipped_timesteps(this->config(), alphas_)) {
    check_final_sigma(this->config());
    if (this->config().algorithm_type == DpmAlgorithm::sde_dpmsolver &&
        this->config().solver_order > 2) {
      bad_input("field \"solver_order\" is {}: algorithm_type sde-dpmsolver has 1 and 2",
                this->config().solver_order);
    }
  }

 protected:
  void plan(std::int64_t steps) override {
    const bool round = config().beta_schedule != BetaSchedule::squaredcos_cap_v2;
    const bool to_zero = config().final_sigmas_type == FinalSigma::zero;
    take_plan(plan_solver_sigmas(config(), training_, steps, unclipped_, round),
              to_zero ? 0.0F : training_.sigmas.front());
  }

  void advance(std::span<const float> model_output, std::size_t at, std::span<float> sample,
               NoiseSource& noise) override {
    const DpmAlgorithm algorithm = config().algorithm_type;
    remember(converted(predicts_clean(algorithm), model_output, at, sample));
    const DpmCoefficients c = dpm_coefficients(algorithm, level(at), level(at + 1));

    std::vector<float> fresh;
    std::vector<float> first;
    std::vector<float> second;
    std::vector<Term> terms = {{c.sample, sample}, {c.model, output(0)}};
    const std::size_t order = order_at(at);
    const bool heun = order == 3 || config().dpm_solver_type == DpmSolver::heun;
    if (order > 1) {
      differences(at, order, first, second);
      terms.push_back({heun ? c.heun : c.midpoint, first});
      if (order > 2) terms.push_back({c.second, second});
    }
    if (adds_noise(algorithm)) {
      fresh.resize(sample.size());
      noise.normal(fresh);
      terms.push_back({c.noise, fresh});
    }
    combine(terms, sample);
  }

 private:
  std::size_t order_at(std::size_t at) const {
    const std::size_t count = timesteps_.size();
    const bool few = config().lower_order_final && count < kFewSteps;
    const bool first_at_last =
        config().euler_at_final || few || config().final_sigmas_type == FinalSigma::zero;
    if (known_outputs() < 2 || (at + 1 == count && first_at_last)) return 1;
    return known_outputs() < 3 || (at + 2 == count && few) ? 2 : 3;
  }

  /// Newton's divided differences of the outputs over lambda, in units of the step.
  void differences(std::size_t at, std::size_t order, std::vector<float>& first,
                   std::vector<float>& second) const {
    const float now = level(at).lambda;
    const float h = level(at + 1).lambda - now;
    const float before = level(at - 1).lambda;
    const float r0 = (now - before) / h;
    const std::size_t size = output(0).size();
    first.resize(size);
    for (std::size_t i = 0; i < size; ++i) {
      first[i] = 1.0F / r0 * (output(0)[i] - output(1)[i]);
    }
    if (order < 3) return;
    const float r1 = (before - level(at - 2).lambda) / h;
    second.resize(size);
    for (std::size_t i = 0; i < size; ++i) {
      const float older = 1.0F / r1 * (output(1)[i] - output(2)[i]);
      const float change = first[i] - older;
      first[i] += r0 / (r0 + r1) * change;
      second[i] = 1.0F / (r0 + r1) * change;
    }
  }

  std::int64_t unclipped_;
};

}  // namespace

std::unique_ptr<Scheduler> make_dpm_multistep(SchedulerConfig config) {
  return std::make_unique<DpmMultistep>(std::move(config));
}

}  // namespace tenon::pipelines
