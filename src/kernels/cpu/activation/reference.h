// The plain form of the activations: double precision inside, any float type outside.
#pragma once

#include "kernels/kernel.h"

namespace tenon::kernels::cpu::activation {

/// Gelu: x * Phi(x), or with approximate = "tanh" 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
BoundKernel bind_gelu_reference(const StepDescription& step);
/// Swish: x * sigmoid(alpha * x).
BoundKernel bind_swish_reference(const StepDescription& step);
/// tenon.SwiGlu: [..., 2 I] -> [..., I], silu(first half) * second half.
BoundKernel bind_swiglu_reference(const StepDescription& step);
/// tenon.GeGlu: [..., 2 I] -> [..., I], first half * gelu(second half), the erf form.
BoundKernel bind_geglu_reference(const StepDescription& step);

}  // namespace tenon::kernels::cpu::activation
