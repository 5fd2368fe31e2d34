// The parts of the elementwise table, joined by elementwise_rows().
#pragma once

#include <span>

#include "kernels/kernel.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> unary_rows();
std::span<const KernelRow> cast_rows();      // Cast CastLike
std::span<const KernelRow> binary_rows();    // Add ... Equal ... And ... PRelu
std::span<const KernelRow> variadic_rows();  // Min Max Sum
std::span<const KernelRow> select_rows();    // Where Clip

}  // namespace tenon::kernels::cpu
