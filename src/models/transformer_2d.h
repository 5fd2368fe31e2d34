// diffusers' Transformer2DModel: the pixels of a picture as tokens that look at each other and at
// the text.
#pragma once

#include "models/image_builder.h"

namespace tenon::models {

struct TransformerShape {
  std::int64_t channels = 0;
  std::int64_t heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t layers = 1;
  std::int64_t context_dim = 0;
  std::int64_t groups = 32;
  bool linear_projection = false;
  bool only_cross_attention = false;  ///< the first attention looks at the text too
  bool upcast_attention = false;
};

/// x [B, channels, H, W], context [B, T, context_dim] -> [B, channels, H, W].
ValueId transformer_2d(ImageBuilder& builder, const std::string& module, ValueId x, ValueId context,
                       const TransformerShape& shape);

/// diffusers' DualTransformer2DModel: two of them over two parts of the context, tokens 0 to 76 and
/// 77 to 333, mixed half and half.
ValueId dual_transformer_2d(ImageBuilder& builder, const std::string& module, ValueId x,
                            ValueId context, const TransformerShape& shape);

}  // namespace tenon::models
