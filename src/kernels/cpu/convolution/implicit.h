// tenon.Conv as a product whose rows are windows of a picture: the picture is converted once to the
// type of the products, padded, channels last, and the windows are read where they lie in it.
#pragma once

#include "kernels/cpu/convolution/convert.h"
#include "kernels/kernel.h"

namespace tenon::kernels::cpu::convolution {

/// A tenon.Conv of one group (depthwise: as many as channels and results) on float32 pictures with
/// a constant weight in `format`.
bool accepts_implicit(const StepDescription& step, std::string_view format, bool depthwise);
BoundKernel bind_implicit(const StepDescription& step, const ConvKernel& kernel);
std::size_t implicit_workspace(const StepDescription& step, std::span<const Shape> inputs,
                               int threads, const ConvKernel& kernel);

}  // namespace tenon::kernels::cpu::convolution
