#include "verify/hypotheses.h"

#include <array>
#include <cmath>

#include "base/error.h"
#include "base/half.h"
#include "verify/constants.h"
#include "verify/differences.h"
#include "verify/trace.h"

namespace tenon::verify {
namespace {

using Answer = std::optional<std::string>;

bool not_finite(const Evidence& evidence) {
  return evidence.error != nullptr && evidence.error->not_finite + evidence.error->nan_in_both > 0;
}

bool is_narrow(std::string_view dtype) {
  return dtype == "int8" || dtype == "bf16" || dtype == "fp16";
}

std::string kernels_of(const engine::Step& step) {
  std::string names;
  for (const engine::Choice& choice : step.kernels)
    names += (names.empty() ? "" : " or ") + choice.kernel;
  return names.empty() ? "no kernel" : names;
}

// A packed form may have lost the NaN that the plain form of A still shows.
Answer weight_is_not_finite(const Evidence& evidence) {
  if (!not_finite(evidence) || evidence.step == nullptr) return std::nullopt;
  Answer found = not_finite_constant(evidence.b, *evidence.step);
  if (!found && evidence.a != nullptr) {
    if (const auto* writer = writer_of(*evidence.a, evidence.error->value))
      found = not_finite_constant(*evidence.a, *writer);
  }
  if (found) *found += "; the checkpoint is damaged or was saved from a run that diverged";
  return found;
}

// Scores of attention are [batch, heads, queries, keys].
std::string head_of(const ValueError& error) {
  const auto at = coordinates(error.where, error.shape);
  const bool scores =
      at.size() == 4 && error.op == "MatMul" && error.module.find("attn") != std::string::npos;
  return scores ? fmt::format(" in head {}", at[1]) : "";
}

Answer overflows_float16(const Evidence& evidence) {
  if (!not_finite(evidence) || evidence.error->dtype != dtype_name(DType::f16)) return std::nullopt;
  const double largest = std::max(evidence.error->max_abs_a, evidence.error->max_abs);
  if (evidence.a != nullptr && largest < kFloat16Max / 2) return std::nullopt;
  return fmt::format(
      "the value leaves the range of float16{}: it reaches {:.5g} and float16 ends at {:g}; build "
      "with bf16 or fp32",
      head_of(*evidence.error), largest, kFloat16Max);
}

Answer made_of_nothing_finite(const Evidence& evidence) {
  if (!not_finite(evidence) || evidence.step == nullptr) return std::nullopt;
  return fmt::format(
      "{} elements are NaN or infinite while weights and inputs of the step are finite (largest "
      "finite magnitude {:.4g}); it ran as {}",
      evidence.error->not_finite + evidence.error->nan_in_both, evidence.error->max_abs,
      kernels_of(*evidence.step));
}

Answer one_edit_makes_it_right(const Evidence& evidence) {
  if (evidence.experiments == nullptr || !evidence.experiments->best) return std::nullopt;
  const Experiment& best = *evidence.experiments->best;
  const std::string where = evidence.truth->layer >= 0
                                ? fmt::format("the output of layer {}", evidence.truth->layer)
                                : std::string("the logits");
  return fmt::format(
      "{}: with that one change the relative error of {} falls from {:.2g} to "
      "{:.2g}; {}",
      best.edit.found, where, evidence.experiments->unedited, best.error, best.edit.advice);
}

Answer one_experiment_makes_it_right(const Evidence& evidence) {
  if (evidence.tensors == nullptr) return std::nullopt;
  const TensorExperiment& made = *evidence.tensors;
  if (made.after == made.before) return fmt::format("{}; {}", made.found, made.advice);
  return fmt::format(
      "{}: with that one change the relative error of the outputs falls from {:.2g} to {:.2g}; {}",
      made.found, made.before, made.after, made.advice);
}

Answer steps_read_others(const Evidence& evidence) {
  if (evidence.a == nullptr || evidence.step == nullptr) return std::nullopt;
  return reads_other_values(*evidence.a, evidence.b, *evidence.step);
}

Answer attributes_differ(const Evidence& evidence) {
  if (evidence.a == nullptr || evidence.step == nullptr) return std::nullopt;
  return different_attribute(*evidence.a, evidence.b, *evidence.step);
}

Answer weights_differ(const Evidence& evidence) {
  if (evidence.a == nullptr || evidence.step == nullptr) return std::nullopt;
  return different_constant(*evidence.a, evidence.b, *evidence.step);
}

Answer precision_is_too_low(const Evidence& evidence) {
  const std::string& precision = evidence.b.precision;
  if (evidence.error == nullptr) return std::nullopt;
  const bool mild = evidence.error->relative < 0.5;
  if (!mild || not_finite(evidence)) return std::nullopt;
  if (evidence.error->relative <= evidence.error->explained) {
    return fmt::format(
        "no value departs by itself: rounding adds up from step to step, here to a relative error "
        "of {:.2g} in {}; {}",
        evidence.error->relative, evidence.error->dtype,
        is_narrow(precision) ? "build with a wider precision or allow more in the budget"
                             : "the budget is narrower than " + precision + " can be");
  }
  if (!is_narrow(evidence.error->dtype)) return std::nullopt;
  return fmt::format(
      "{} is too coarse for this step: it leaves a relative error of {:.2g} where {:.2g} is usual, "
      "as outliers in a row of weights or activations do; keep the step in a wider type",
      evidence.error->dtype, evidence.error->relative, evidence.error->explained);
}

Answer nothing_known(const Evidence& evidence) {
  if (evidence.step == nullptr)
    return std::string(
        "the answers differ and no value could be compared; no known mistake "
        "explains it");
  std::string text = fmt::format(
      "what it is computed from agrees, the result does not, and no known mistake explains it; "
      "the step {} ran as {}",
      evidence.step->name, kernels_of(*evidence.step));
  if (evidence.experiments != nullptr && !evidence.experiments->sound)
    text += fmt::format("; {} single changes of the model were tried, none makes it right",
                        evidence.experiments->tried);
  return text;
}

constexpr std::array kHypotheses = {
    Hypothesis{"not-finite-weight", "a weight holds NaN or infinity", weight_is_not_finite},
    Hypothesis{"float16-overflow", "a value is beyond 65504", overflows_float16},
    Hypothesis{"not-finite-result", "a step makes NaN of finite numbers", made_of_nothing_finite},
    // its name in a report is the edit's: rotary-layout, rope-theta ...
    Hypothesis{"model-edit", "one change of the checkpoint makes it right",
               one_edit_makes_it_right},
    // likewise the experiment's: swapped-inputs, layout ...
    Hypothesis{"tensor-edit", "one change of inputs or outputs makes it right",
               one_experiment_makes_it_right},
    Hypothesis{"other-input", "a step reads another value", steps_read_others},
    Hypothesis{"different-attribute", "a step has another constant", attributes_differ},
    Hypothesis{"different-weight", "A and B hold different weights", weights_differ},
    Hypothesis{"precision", "rounding explains it", precision_is_too_low},
    Hypothesis{"unknown", "none of the above", nothing_known},
};

}  // namespace

std::span<const Hypothesis> hypotheses() { return kHypotheses; }

Reason explain(const Evidence& evidence) {
  for (const Hypothesis& hypothesis : kHypotheses) {
    Answer answer = hypothesis.holds(evidence);
    if (!answer) continue;
    std::string cause(hypothesis.name);
    if (cause == "model-edit") cause = evidence.experiments->best->edit.cause;
    if (cause == "tensor-edit") cause = evidence.tensors->cause;
    return {std::move(cause), std::move(*answer)};
  }
  fail(ErrorCode::internal, "no hypothesis holds");
}

Departure departure_of(const ValueError& error, const Evidence& evidence) {
  const Reason reason = explain(evidence);
  Departure found;
  found.value = error.value;
  found.module = error.module;
  found.op = error.op;
  found.dtype = error.dtype;
  found.max_abs = error.max_abs;
  found.max_difference = error.not_finite + error.nan_in_both > 0 ? INFINITY : error.max_difference;
  found.relative = found.max_difference == INFINITY ? INFINITY : error.relative;
  found.allowed = error.explained;
  found.where = coordinates(error.where, error.shape);
  found.cause = reason.cause;
  found.reason = reason.text;
  return found;
}

}  // namespace tenon::verify
