// One list of schemas a file in this folder, joined by all_ops().
#pragma once

#include <span>

#include "graph/op_schema.h"

namespace tenon::graph::ops {

std::span<const OpSchema>
activation_ops();  // Relu Sigmoid Tanh Erf Gelu Swish Softmax ... one input of the same shape
std::span<const OpSchema> arithmetic_ops();  // Add Mul Pow Where Equal ... broadcasting
std::span<const OpSchema>
attention_ops();  // RotaryEmbedding, tenon.Attention, tenon.CachedAttention
std::span<const OpSchema> convolution_ops();  // Conv ConvTranspose
std::span<const OpSchema> einsum_ops();       // Einsum
std::span<const OpSchema> image_ops();        // Resize GridSample DepthToSpace SpaceToDepth
std::span<const OpSchema>
image_channels_last_ops();                      // tenon.Conv tenon.GroupScale tenon.ScaleShift
std::span<const OpSchema> linear_ops();         // MatMul Gemm tenon.Linear tenon.SwiGlu tenon.GeGlu
std::span<const OpSchema> normalization_ops();  // LayerNormalization RMSNormalization ...
std::span<const OpSchema> pooling_ops();        // MaxPool AveragePool LpPool, global pools, LRN
std::span<const OpSchema> reduction_ops();      // ReduceMean ReduceSum ReduceMax ArgMax CumSum ...
std::span<const OpSchema>
shape_ops();  // Shape Reshape Transpose Squeeze Expand Range ConstantOfShape ...
std::span<const OpSchema>
selection_ops();  // Gather Slice Split Concat Pad Tile Trilu ScatterND ...

}  // namespace tenon::graph::ops
