// Activations of float32 tensors around the runs of an instruction set: shares of threads.
#pragma once

#include "kernels/cpu/activation/fast.h"
#include "kernels/kernel.h"

namespace tenon::kernels::cpu::activation {

BoundKernel bind_gelu(const StepDescription& step, const ActivationRuns& runs);
BoundKernel bind_swish(const StepDescription& step, const ActivationRuns& runs);
BoundKernel bind_swiglu(const StepDescription& step, const ActivationRuns& runs);
BoundKernel bind_geglu(const StepDescription& step, const ActivationRuns& runs);

}  // namespace tenon::kernels::cpu::activation
