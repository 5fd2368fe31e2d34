// One table of rows a family, joined by the catalogue in this order.
#pragma once

#include <span>

#include "kernels/kernel.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> activation_rows();  // Gelu Swish tenon.SwiGlu tenon.GeGlu
std::span<const KernelRow>
attention_rows();  // tenon.CachedAttention tenon.Attention RotaryEmbedding
std::span<const KernelRow> channels_last_convolution_rows();  // tenon.Conv
std::span<const KernelRow> convolution_rows();                // Conv ConvTranspose
std::span<const KernelRow> elementwise_rows();                // Add Mul Pow Where Cast Sqrt ...
std::span<const KernelRow> group_norm_rows();                 // tenon.GroupScale tenon.ScaleShift
std::span<const KernelRow> image_rows();                      // Resize GridSample DepthToSpace ...
std::span<const KernelRow> linear_rows();                     // tenon.Linear MatMul Gemm
std::span<const KernelRow> movement_rows();                   // Reshape Transpose Gather Concat ...
std::span<const KernelRow> normalization_rows();              // RMSNormalization LayerNormalization
std::span<const KernelRow> pooling_rows();    // MaxPool AveragePool LpPool, global pools, LRN
std::span<const KernelRow> reduction_rows();  // ReduceMean Softmax ...

std::span<const PackedFormat> linear_formats();

}  // namespace tenon::kernels::cpu
