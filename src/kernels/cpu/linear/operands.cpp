#include "kernels/cpu/linear/operands.h"

namespace tenon::kernels::cpu::linear {

std::optional<Activation> parse_activation(std::string_view name) {
  if (name.empty()) return Activation::none;
  if (name == "relu") return Activation::relu;
  if (name == "gelu") return Activation::gelu;
  if (name == "gelu_tanh") return Activation::gelu_tanh;
  if (name == "silu") return Activation::silu;
  return std::nullopt;
}

bool has_input(const StepDescription& step, std::size_t index) {
  return index < step.inputs.size() && step.inputs[index].present;
}

bool is_linear(const StepDescription& step) {
  if (!has_input(step, kLinearX) || !has_input(step, kLinearWeight) || step.outputs.empty()) {
    return false;
  }
  const Shape& weight = step.inputs[kLinearWeight].shape;
  if (weight.size() != 2 || weight[0] < 0 || weight[1] < 0) return false;
  const auto suits = [](const Shape& shape, std::int64_t last) {
    return !shape.empty() && (shape.back() == last || shape.back() == -1);
  };
  if (!suits(step.inputs[kLinearX].shape, weight[0])) return false;
  if (has_input(step, kLinearBias) && step.inputs[kLinearBias].shape != Shape{weight[1]}) {
    return false;
  }
  if (has_input(step, kLinearResidual) && !suits(step.inputs[kLinearResidual].shape, weight[1])) {
    return false;
  }
  return step.attributes == nullptr ||
         parse_activation(step.attributes->get_string("activation", "")).has_value();
}

}  // namespace tenon::kernels::cpu::linear
