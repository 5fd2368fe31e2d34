// What a reference kernel can take, by element types alone.
#pragma once

#include <algorithm>

#include "kernels/kernel.h"

namespace tenon::kernels::reference {

/// All operands are plain row-major tensors.
inline bool all_plain(const StepDescription& step) {
  return std::all_of(step.inputs.begin(), step.inputs.end(), [](const auto& operand) {
    return !operand.present || operand.format.empty();
  });
}

/// Input 0 is floating and so are all others and the result, of any mix of widths.
inline bool all_float(const StepDescription& step) {
  return all_plain(step) && is_float(step.outputs[0].dtype) &&
         std::all_of(step.inputs.begin(), step.inputs.end(), [](const auto& operand) {
           return !operand.present || is_float(operand.dtype);
         });
}

/// All inputs are of one type, the result's.
inline bool all_same(const StepDescription& step) {
  const DType type = step.outputs[0].dtype;
  return all_plain(step) &&
         std::all_of(step.inputs.begin(), step.inputs.end(), [type](const auto& operand) {
           return !operand.present || operand.dtype == type;
         });
}

/// Floating of any mix, or numbers of one integer type.
inline bool all_numbers(const StepDescription& step) {
  return all_float(step) || (all_same(step) && step.outputs[0].dtype != DType::boolean &&
                             !is_float(step.outputs[0].dtype));
}

/// The result has the type of input 0; the other inputs are checked by the operator's schema.
inline bool moves_input(const StepDescription& step) {
  return all_plain(step) && step.inputs[0].dtype == step.outputs[0].dtype;
}

inline bool is_index(DType type) { return type == DType::i32 || type == DType::i64; }

}  // namespace tenon::kernels::reference
