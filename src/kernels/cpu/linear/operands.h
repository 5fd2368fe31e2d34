// What the rows of this family read from a step description: operands, sizes, the activation.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/kernel.h"

namespace tenon::kernels::cpu::linear {

enum class Activation : int { none, relu, gelu, gelu_tanh, silu };

/// nullopt for a name that is none of "", relu, gelu, gelu_tanh, silu.
std::optional<Activation> parse_activation(std::string_view name);

/// Whether input `index` is there; trailing absent inputs may be left out of the list.
bool has_input(const StepDescription& step, std::size_t index);

/// Places of the inputs of tenon.Linear.
inline constexpr std::size_t kLinearX = 0;
inline constexpr std::size_t kLinearWeight = 1;
inline constexpr std::size_t kLinearBias = 2;
inline constexpr std::size_t kLinearResidual = 3;

/// True when `step` is a well-formed tenon.Linear: a weight [K, N] of known sizes, a known
/// activation, bias [N].
bool is_linear(const StepDescription& step);

/// Data of input `index`, or nullptr when it is absent.
inline const std::byte* input_data(const Invocation& call, std::size_t index) {
  return index < call.inputs.size() ? call.inputs[index].data : nullptr;
}

}  // namespace tenon::kernels::cpu::linear
