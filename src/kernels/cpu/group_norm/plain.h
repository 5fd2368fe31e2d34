// The plain rows of tenon.GroupScale and tenon.ScaleShift: any float types, in double.
#pragma once

#include "kernels/kernel.h"

namespace tenon::kernels::cpu::group_norm {

bool accepts_group_scale_plain(const StepDescription& step);
BoundKernel bind_group_scale_plain(const StepDescription& step);

bool accepts_scale_shift_plain(const StepDescription& step);
BoundKernel bind_scale_shift_plain(const StepDescription& step);

}  // namespace tenon::kernels::cpu::group_norm
