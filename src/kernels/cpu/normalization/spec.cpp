#include "kernels/cpu/normalization/spec.h"

#include <algorithm>

namespace tenon::kernels::cpu::normalization {
namespace {

/// Whether `shape`, leading ones aside, is `tail`; `scalar` says that it has one element.
bool fits(const Shape& shape, std::span<const std::int64_t> tail, bool& scalar) {
  const auto first =
      std::find_if(shape.begin(), shape.end(), [](std::int64_t dim) { return dim != 1; });
  scalar = first == shape.end();
  if (scalar) return true;
  const auto tail_first =
      std::find_if(tail.begin(), tail.end(), [](std::int64_t dim) { return dim != 1; });
  return std::equal(first, shape.end(), tail_first, tail.end());
}

}  // namespace

std::optional<NormSpec> parse_norm(const StepDescription& step) {
  if (step.inputs.size() < 2 || step.outputs.empty()) return std::nullopt;
  for (std::size_t i = 1; i < step.outputs.size(); ++i) {
    if (step.outputs[i].present) return std::nullopt;
  }
  for (const auto& input : step.inputs) {
    if (input.present && !is_float(input.dtype)) return std::nullopt;
  }
  if (!is_float(step.outputs[0].dtype)) return std::nullopt;

  const Shape& shape = step.inputs[0].shape;
  const auto rank = static_cast<std::int64_t>(shape.size());
  std::int64_t axis = step.attributes->get_int("axis", -1);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) return std::nullopt;

  NormSpec spec;
  const auto tail = std::span(shape).subspan(static_cast<std::size_t>(axis));
  if (std::any_of(tail.begin(), tail.end(), [](std::int64_t dim) { return dim <= 0; })) {
    return std::nullopt;
  }
  spec.length = element_count(tail);
  spec.epsilon = step.attributes->get_float("epsilon", 1e-5F);
  if (!fits(step.inputs[1].shape, tail, spec.scalar_scale)) return std::nullopt;
  if (step.inputs.size() > 2 && step.inputs[2].present &&
      !fits(step.inputs[2].shape, tail, spec.scalar_bias)) {
    return std::nullopt;
  }
  return spec;
}

}  // namespace tenon::kernels::cpu::normalization
