// AutoencoderKL: the encoder and the decoder, each a graph of its own.
#pragma once

#include "models/model.h"

namespace tenon::models {

/// Input: sample [batch_size, in_channels, sample_height, sample_width]. Output: latent_parameters
/// [batch_size, 2 * latent_channels, ...], the means and then the logarithms of the variances, not
/// scaled by scaling_factor and not clamped.
graph::Graph build_autoencoder_kl_encoder(const Json& config, const Weights& weights,
                                          const BuildOptions& options);

/// Input: latent_sample [batch_size, latent_channels, latent_height, latent_width], already divided
/// by scaling_factor. Output: sample [batch_size, out_channels, ...], about -1 to 1.
graph::Graph build_autoencoder_kl_decoder(const Json& config, const Weights& weights,
                                          const BuildOptions& options);

}  // namespace tenon::models
