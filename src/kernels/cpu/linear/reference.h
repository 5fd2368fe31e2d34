// The plain rows of this family: any float types, summed in double, written to be read.
#pragma once

#include "kernels/kernel.h"

namespace tenon::kernels::cpu::linear {

/// tenon.Linear: y = activation(x W + bias) + residual.
bool accepts_linear_reference(const StepDescription& step);
BoundKernel bind_linear_reference(const StepDescription& step);

/// MatMul: numpy.matmul, so a vector gains a dimension of 1 for the product and leading dimensions
/// broadcast.
bool accepts_matmul_reference(const StepDescription& step);
BoundKernel bind_matmul_reference(const StepDescription& step);

/// Gemm: alpha * A' B' + beta * C, where A' and B' may be transposed and C broadcasts to [M, N].
bool accepts_gemm_reference(const StepDescription& step);
BoundKernel bind_gemm_reference(const StepDescription& step);

}  // namespace tenon::kernels::cpu::linear
