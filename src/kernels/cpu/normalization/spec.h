// What a normalization step asks for, read from its description.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/kernel.h"

namespace tenon::kernels::cpu::normalization {

struct NormSpec {
  std::int64_t length = 0;  ///< elements that share one mean: the product of the normalized axes
  float epsilon = 1e-5F;
  bool scalar_scale = false;  ///< one scale for all elements
  bool scalar_bias = false;   ///< one bias for all elements
};

/// nullopt when the step is no normalization that these kernels know: a normalized axis of unknown
/// length, a scale of another shape, a second output that is used, a type that is no float.
std::optional<NormSpec> parse_norm(const StepDescription& step);

}  // namespace tenon::kernels::cpu::normalization
