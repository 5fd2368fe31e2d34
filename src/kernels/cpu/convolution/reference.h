// The plain rows of ONNX's own convolutions.
#pragma once

#include <span>

#include "kernels/kernel.h"

namespace tenon::kernels::cpu::convolution {

std::span<const KernelRow> reference_conv_rows();            // Conv
std::span<const KernelRow> reference_conv_transpose_rows();  // ConvTranspose

}  // namespace tenon::kernels::cpu::convolution
