// The plain form of the normalizations: double precision inside, any float type outside.
#pragma once

#include "kernels/kernel.h"

namespace tenon::kernels::cpu::normalization {

/// y = (x - mean(x)) / sqrt(var(x) + epsilon) * scale + bias, over the axes from `axis` on; var is
/// the mean of squares about the mean. Scale and bias have the normalized shape or one element.
BoundKernel bind_layer_reference(const StepDescription& step);
/// y = x / sqrt(mean(x^2) + epsilon) * scale, over the axes from `axis` on.
BoundKernel bind_rms_reference(const StepDescription& step);

}  // namespace tenon::kernels::cpu::normalization
