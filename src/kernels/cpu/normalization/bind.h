// Normalizations of float32 tensors around the rows of an instruction set: shares of threads.
#pragma once

#include "kernels/cpu/normalization/fast.h"
#include "kernels/kernel.h"

namespace tenon::kernels::cpu::normalization {

/// Float32 throughout, with a scale and bias for each element.
bool accepts_f32(const StepDescription& step);
BoundKernel bind_norm(const StepDescription& step, void (*row)(const NormRow&));

}  // namespace tenon::kernels::cpu::normalization
