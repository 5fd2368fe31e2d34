// The parts of the image table, joined by image_rows().
#pragma once

#include <span>

#include "kernels/kernel.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> resize_rows();  // Resize

}  // namespace tenon::kernels::cpu
