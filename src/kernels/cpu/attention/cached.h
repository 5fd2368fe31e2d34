// tenon.CachedAttention around the tile loops of an instruction set: rotation, cache writes, shares
// of threads and merging.
#pragma once

#include "kernels/cpu/attention/tile.h"
#include "kernels/kernel.h"

namespace tenon::kernels::cpu::attention {

/// Float32 cache or bfloat16 cache, as the step's cache_dtype says.
bool accepts_float_cache(const StepDescription& step);
bool accepts_bfloat_cache(const StepDescription& step);
std::size_t float_page_bytes(const StepDescription& step);
std::size_t bfloat_page_bytes(const StepDescription& step);

/// Blocks of a fixed size a thread, whatever the rows and contexts are: a tile's queries and sums,
/// and a place for the sections of the one tile that it may share with the threads after it.
std::size_t cached_workspace(const StepDescription& step, std::span<const Shape> inputs,
                             int threads);

/// Rows that no sequence of the batch covers are left as they are.
BoundKernel bind_cached(const StepDescription& step, const TileKernel& kernel);

}  // namespace tenon::kernels::cpu::attention
