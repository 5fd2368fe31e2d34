// Float32 tenon.GroupScale and tenon.ScaleShift around the code of an instruction set: shares of
// threads, and the joining of their sums.
#pragma once

#include "kernels/cpu/group_norm/fast.h"
#include "kernels/kernel.h"

namespace tenon::kernels::cpu::group_norm {

bool accepts_f32_group_scale(const StepDescription& step);
/// Reads x and x2 once. The result does not depend on the number of threads.
BoundKernel bind_group_scale(const StepDescription& step, const GroupKernels& kernels);
std::size_t group_scale_workspace(const StepDescription& step, std::span<const Shape> inputs,
                                  int threads);

bool accepts_f32_scale_shift(const StepDescription& step);
BoundKernel bind_scale_shift(const StepDescription& step, const GroupKernels& kernels);

}  // namespace tenon::kernels::cpu::group_norm
