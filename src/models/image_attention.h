// diffusers' Attention over tokens: queries of one sequence look at the tokens of another.
#pragma once

#include "models/image_builder.h"

namespace tenon::models {

struct AttentionShape {
  std::int64_t query_dim = 0;    ///< width of the tokens that ask, and of the result
  std::int64_t context_dim = 0;  ///< width of the tokens that are looked at
  std::int64_t heads = 0;
  std::int64_t head_dim = 0;
  bool bias = false;            ///< of to_q, to_k and to_v; to_out.0 always has one
  bool upcast_scores = false;   ///< q and k in float32
  bool upcast_softmax = false;  ///< float32 from the scores on; implied by upcast_scores
};

/// softmax(q k^T / sqrt(head_dim)) v through to_q, to_k, to_v and to_out.0. x [B, S, query_dim],
/// context [B, T, context_dim] -> [B, S, query_dim].
ValueId attention(ImageBuilder& builder, const std::string& module, ValueId x, ValueId context,
                  const AttentionShape& shape);

/// The attention block of autoencoders: one head over all pixels of a picture, behind a group norm
/// (`groups`, 1e-6), added to the picture.
ValueId pixel_attention(ImageBuilder& builder, const std::string& module, ValueId x,
                        std::int64_t channels, std::int64_t groups);

}  // namespace tenon::models
