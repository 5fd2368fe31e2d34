// AutoencoderTiny (TAESD): small autoencoders of plain convolutions, for previews.
#pragma once

#include "models/model.h"

namespace tenon::models {

/// Input: sample [batch_size, in_channels, sample_height, sample_width], about -1 to 1. Output:
/// latent_sample [batch_size, latent_channels, ...]: no distribution, the latents themselves.
graph::Graph build_autoencoder_tiny_encoder(const Json& config, const Weights& weights,
                                            const BuildOptions& options);

/// Input: latent_sample [batch_size, latent_channels, latent_height, latent_width], as the UNet has
/// them (divided by this configuration's scaling_factor, which is 1). Output: sample [batch_size,
/// out_channels, ...], about -1 to 1.
graph::Graph build_autoencoder_tiny_decoder(const Json& config, const Weights& weights,
                                            const BuildOptions& options);

}  // namespace tenon::models
