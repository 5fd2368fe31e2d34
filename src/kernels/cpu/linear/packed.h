// tenon.Linear on packed weights: checks, workspace and the split over threads, for every
// instruction set's product.
#pragma once

#include "kernels/cpu/linear/formats.h"
#include "kernels/cpu/linear/product.h"
#include "kernels/kernel.h"

namespace tenon::kernels::cpu::linear {

/// Whether the step is a tenon.Linear of float32 activations with a constant weight in `format`.
bool accepts_packed(const StepDescription& step, std::string_view format);
BoundKernel bind_packed(const StepDescription& step, const ProductKernel& kernel);
std::size_t packed_workspace(const StepDescription& step, std::span<const Shape> inputs,
                             int threads, const ProductKernel& kernel);

}  // namespace tenon::kernels::cpu::linear
