// The plain row of tenon.Conv: any float types, any groups, summed in double.
#pragma once

#include "kernels/kernel.h"

namespace tenon::kernels::cpu::convolution {

bool accepts_conv_plain(const StepDescription& step);
BoundKernel bind_conv_plain(const StepDescription& step);

}  // namespace tenon::kernels::cpu::convolution
