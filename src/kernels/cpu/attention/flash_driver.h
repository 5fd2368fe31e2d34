// tenon.Attention around the loops of an instruction set: packing of keys and values, shares of
// threads, masks.
#pragma once

#include "kernels/cpu/attention/flash.h"
#include "kernels/kernel.h"

namespace tenon::kernels::cpu::attention {

/// Float32 operands of rank 3 or 4; the narrow rows besides ask for precision "bf16".
bool accepts_flash(const StepDescription& step);
bool accepts_narrow_flash(const StepDescription& step);

/// Keys and values of all heads, packed, and some rows of queries and sums for each thread: nothing
/// grows with queries times keys.
std::size_t flash_workspace(const StepDescription& step, std::span<const Shape> inputs, int threads,
                            const FlashKernel& kernel);

/// Scores, softmax and sums are float32. With bfloat16 words, scaled queries, keys, weights and
/// values are rounded to it (relative 2^-9 each). A query that sees no key gives zeros.
BoundKernel bind_flash(const StepDescription& step, const FlashKernel& kernel);

}  // namespace tenon::kernels::cpu::attention
