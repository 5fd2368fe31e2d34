// The parts of the image table, joined by image_rows().
#pragma once

#include <span>

#include "kernels/kernel.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> resize_rows();       // Resize
std::span<const KernelRow> grid_sample_rows();  // GridSample
std::span<const KernelRow> block_rows();        // DepthToSpace SpaceToDepth

}  // namespace tenon::kernels::cpu
