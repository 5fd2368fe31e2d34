// The names that the training code of latent diffusion models gives its weights, as diffusers and
// transformers name the same ones.
#pragma once

#include "checkpoint/weight_map.h"

namespace tenon::checkpoint {

/// input_blocks.I.J, middle_block.I, output_blocks.I.J -> down_blocks, mid_block, up_blocks. What
/// has another name keeps it.
WeightMap rename_unet(WeightMap weights);

/// encoder.down.I, decoder.up.I (counted from the other end) -> down_blocks, up_blocks. Attention
/// projections that are 1x1 convolutions become matrices.
WeightMap rename_vae(WeightMap weights);

/// OpenCLIP's transformer.resblocks.I -> text_model.encoder.layers.I; in_proj in three. The last
/// layer is left out: Stable Diffusion 2 takes the states before it (files of 23 layers are without
/// it already). So is text_projection, which nothing reads.
WeightMap rename_open_clip(WeightMap weights);

}  // namespace tenon::checkpoint
