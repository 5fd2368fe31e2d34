// UNet2DConditionModel (Stable Diffusion 1.x and 2.x).
#pragma once

#include "models/model.h"

namespace tenon::models {

/// Inputs in the model's dtype, as optimum names them: sample [batch_size, in_channels, height,
/// width]; timestep (see TimestepForm); encoder_hidden_states [batch_size, sequence_length,
/// cross_attention_dim]; timestep_cond [batch_size, n] and class_labels where the config asks for
/// them. Output: out_sample [batch_size, out_channels, height, width].
graph::Graph build_unet_2d_condition(const Json& config, const Weights& weights,
                                     const BuildOptions& options);

}  // namespace tenon::models
