#include "kernels/cpu/group_norm/spec.h"

#include <algorithm>

namespace tenon::kernels::cpu::group_norm {
namespace {

bool all_float(const StepDescription& step) {
  return !step.outputs.empty() && is_float(step.outputs[0].dtype) &&
         std::all_of(step.inputs.begin(), step.inputs.end(), [](const auto& input) {
           return !input.present || (is_float(input.dtype) && input.format.empty());
         });
}

// A picture of one pixel or more whose channels are known.
bool is_picture(const StepDescription& step, std::size_t index) {
  const Shape& shape = step.inputs[index].shape;
  return shape.size() >= 2 && shape.back() > 0;
}

}  // namespace

std::optional<GroupSpec> parse_group_scale(const StepDescription& step) {
  for (const std::size_t index : {kX, kGamma, kBeta}) {
    if (!linear::has_input(step, index)) return std::nullopt;
  }
  if (!all_float(step) || !is_picture(step, kX) || step.attributes == nullptr) return std::nullopt;
  GroupSpec spec;
  spec.channels = step.inputs[kX].shape.back();
  if (linear::has_input(step, kX2)) {
    if (!is_picture(step, kX2)) return std::nullopt;
    spec.channels2 = step.inputs[kX2].shape.back();
  }
  spec.groups = step.attributes->get_int("num_groups", 0);
  spec.epsilon = static_cast<double>(step.attributes->get_float("epsilon", 1e-5F));
  const Shape affine = {spec.all_channels()};
  if (spec.groups < 1 || spec.all_channels() % spec.groups != 0 ||
      step.inputs[kGamma].shape != affine || step.inputs[kBeta].shape != affine) {
    return std::nullopt;
  }
  return spec;
}

std::optional<ScaleShiftSpec> parse_scale_shift(const StepDescription& step) {
  if (!linear::has_input(step, 0) || !linear::has_input(step, 1) || !all_float(step) ||
      !is_picture(step, 0)) {
    return std::nullopt;
  }
  const std::int64_t channels = step.inputs[0].shape.back();
  const Shape& scale_shift = step.inputs[1].shape;
  const auto activation = linear::parse_activation(
      step.attributes == nullptr ? "" : step.attributes->get_string("activation", ""));
  if (!activation || scale_shift.size() != 3 || scale_shift[1] != 2 || scale_shift[2] != channels) {
    return std::nullopt;
  }
  return ScaleShiftSpec{channels, *activation};
}

}  // namespace tenon::kernels::cpu::group_norm
