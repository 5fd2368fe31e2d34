#include "verify/parts.h"

#include <algorithm>
#include <array>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/progress.h"
#include "verify/repair.h"

namespace tenon::verify {
namespace {

// Nearly pure noise, the middle, and the last step.
constexpr std::array<std::int64_t, 3> kTimesteps = {999, 500, 1};
constexpr std::int64_t kSmallest = 4;  // of the sides of latents: attention wants some places

struct Plan {
  std::int64_t side;
  std::int64_t batch;
  std::size_t timesteps;
};

std::vector<TensorRun> runs_within(TensorSubject& a, const PictureSizes& sizes, double most) {
  const std::int64_t side = std::max(sizes.multiple, kSmallest);
  const std::array plans = {Plan{4 * side, 2, 3}, Plan{2 * side, 2, 3}, Plan{side, 2, 3},
                            Plan{side, 2, 1}, Plan{side, 1, 1}};
  std::vector<TensorRun> runs;
  for (const Plan& plan : plans) {
    runs = seeded_runs(a.engine(), sizes, plan.side, plan.batch,
                       std::span(kTimesteps).subspan(plan.timesteps == 1 ? 1 : 0, plan.timesteps));
    if (a.products(runs[0].inputs) * static_cast<double>(runs.size()) <= most) break;
  }
  return runs;
}

// The share of its budget that a part takes; those that are outside, and not finite, come first.
double badness(const Report& report) {
  if (!report.metrics.finite) return 1e300;
  double share = report.passed ? 0 : 1e6;
  for (const OutputError& output : report.outputs) {
    const double limit = report.budget.relative_l2.value_or(1);
    share = std::max(share, (report.passed ? 0 : 1e6) + output.relative / std::max(limit, 1e-12));
  }
  return share;
}

// What to keep in float32, behind the reason.
void propose_repair(const std::string& part, TensorSubject& a, std::span<const TensorRun> runs,
                    const PartOptions& options, Report& report) {
  const bool overflows =
      report.first_departure && report.first_departure->cause == "float16-overflow";
  if (!overflows || !options.graph_of_b) return;
  const TensorRun& run =
      runs[static_cast<std::size_t>(std::max<std::int64_t>(report.traced_prompt, 0))];
  const auto make = [&] { return options.graph_of_b(part); };
  const auto repair = find_float32_repair(make, run.inputs, a.run(run.inputs), a.backend());
  if (!repair) return;
  std::string& reason = report.first_departure->reason;
  reason += fmt::format(
      "; or keep {} of its steps in float32, which was tried and leaves a "
      "relative error of {:.2g}: {}",
      repair->nodes.size(), repair->relative, fmt::join(repair->nodes, ", "));
}

Report compare_part(const std::string& part, const PartEngines& engines, const PictureSizes& sizes,
                    const PartOptions& options, backend::Backend& backend) {
  TensorSubject a(options.name_a, engines.a, backend);
  TensorSubject b(options.name_b, engines.b, backend);
  const Budget budget = options.budget.value_or(Budget::of_tensors(*engines.a, *engines.b));
  Report report = with_context(part, [&] {
    const auto runs = runs_within(a, sizes, options.max_products);
    Report made = compare_tensors(a, b, runs, budget, options.comparison);
    propose_repair(part, a, runs, options, made);
    return made;
  });
  report.part = part;
  return report;
}

}  // namespace

Report compare_parts(std::span<const std::string> parts,
                     const std::function<PartEngines(const std::string& part)>& engines,
                     const PictureSizes& sizes, const PartOptions& options,
                     backend::Backend& backend) {
  if (parts.empty()) bad_input("the two models have no part in common");
  Report all;
  all.name_a = options.name_a;
  all.name_b = options.name_b;
  Progress progress("comparing parts", parts.size());
  for (const std::string& part : parts) {
    all.parts.push_back(compare_part(part, engines(part), sizes, options, backend));
    progress.advance(1);
  }
  std::stable_sort(all.parts.begin(), all.parts.end(),
                   [](const Report& x, const Report& y) { return badness(x) > badness(y); });
  const Report& worst = all.parts.front();
  all.precision_a = worst.precision_a;
  all.precision_b = worst.precision_b;
  all.metrics = worst.metrics;
  all.budget = worst.budget;
  all.first_departure = worst.first_departure;
  all.passed = true;
  for (const Report& part : all.parts) {
    all.passed = all.passed && part.passed;
    for (const auto& violation : part.violations)
      all.violations.push_back(part.part + ": " + violation);
    all.seconds_a += part.seconds_a;
    all.seconds_b += part.seconds_b;
    all.seconds_diagnosis += part.seconds_diagnosis;
  }
  return all;
}

Report prove_parts(std::span<const std::string> parts,
                   const std::function<PartEngines(const std::string& part)>& engines,
                   const PictureSizes& sizes, const PartOptions& options,
                   backend::Backend& backend) {
  Report report = compare_parts(parts, engines, sizes, options, backend);
  if (report.passed) return report;
  std::string message = "the engines do not answer like their source";
  for (const auto& violation : report.violations) message += "; " + violation;
  if (report.first_departure) {
    message += fmt::format("; first departure: {} in {} of {}: {}", report.first_departure->value,
                           report.first_departure->module, report.parts.front().part,
                           report.first_departure->reason);
  }
  Error error(ErrorCode::check_failed, message);
  throw error.hint("choose a finer --precision, or a wider --budget; no bundle was written");
}

}  // namespace tenon::verify
