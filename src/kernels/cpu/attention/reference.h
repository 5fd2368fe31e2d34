// The plain form of the attention family: double precision inside, no blocking, any float type
// outside.
#pragma once

#include "kernels/kernel.h"

namespace tenon::kernels::cpu::attention {

/// tenon.CachedAttention. A page is [key, value][kv_head][16 tokens][head_dim] in the cache's type.
BoundKernel bind_cached_reference(const StepDescription& step);
bool accepts_cached_reference(const StepDescription& step);
std::size_t cached_reference_workspace(const StepDescription& step, std::span<const Shape> inputs,
                                       int threads);
std::size_t cached_reference_page_bytes(const StepDescription& step);

/// tenon.Attention of rank 4 and of rank 3 (plain_spec.h). A row that may look at nothing (-inf or
/// false everywhere) gives zeros.
bool accepts_attention(const StepDescription& step);
BoundKernel bind_attention_reference(const StepDescription& step);

/// ONNX Attention (opset 23 to 25): 3-D or 4-D, mask, past and present, nonpad_kv_seqlen, causal,
/// windows, softcap; not the qk_matmul_output. Same treatment of rows that see nothing.
bool accepts_onnx_attention(const StepDescription& step);
BoundKernel bind_onnx_attention_reference(const StepDescription& step);

/// For both: one double accumulator of a value row for each thread.
std::size_t attention_reference_workspace(const StepDescription& step,
                                          std::span<const Shape> inputs, int threads);

/// ONNX RotaryEmbedding (opset 23). A position outside the caches gives NaN in the rotated part.
bool accepts_rotary(const StepDescription& step);
BoundKernel bind_rotary_reference(const StepDescription& step);

}  // namespace tenon::kernels::cpu::attention
