// DiffusionModels: the networks of a picture model as text-to-image calls them. Engines stand
// behind it (session_models.h), or recordings in the tests.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace tenon::pipelines {

/// What the networks are, fixed once they are loaded. Sizes are positive; 0 says what stands beside
/// it.
struct DiffusionFacts {
  std::int64_t latent_channels = 4;  ///< of the autoencoder
  std::int64_t unet_channels = 4;    ///< in: latent_channels, or 2 of them and 1 for inpainting
  std::int64_t spatial_factor = 8;   ///< pixels a side of a latent
  /// Width and height of a picture are multiples of it: spatial_factor, times 2 for each halving
  /// inside the unet.
  std::int64_t required_multiple = 64;
  /// Pixels a side that the networks were trained on; 0: not known.
  std::int64_t native_size = 0;
  /// Latents are (autoencoder's latents - shift_factor) * scaling_factor. Not given: the config
  /// names none, and 0.18215 is taken.
  std::optional<double> scaling_factor;
  double shift_factor = 0;

  std::int64_t text_length = 77;       ///< tokens that the text encoder takes at once
  std::int64_t model_text_length = 0;  ///< that its config names; 0: not known
  std::int64_t text_width = 0;         ///< of its states
  std::int64_t unet_text_width = 0;
  std::int64_t text_vocabulary = 0;    ///< ids that it knows; 0: not known
  std::int64_t fixed_text_tokens = 0;  ///< tokens that the unet was built for; 0: any
  /// What the engine of the unet was built for; 0: any.
  std::int64_t fixed_batch = 0;
  std::int64_t fixed_height = 0;  ///< in latents
  std::int64_t fixed_width = 0;
  bool integer_timesteps = false;  ///< the unet takes int64: fractions are cut off
  /// Channels of the guidance embedding of distilled models (LCM); 0: none. Those take no
  /// guidance by doubling.
  std::int64_t time_cond_width = 0;

  bool has_encoder = false;       ///< pictures can be encoded
  bool has_tiny_decoder = false;  ///< previews can be decoded
  std::int64_t tile_size = 512;   ///< pixels a side of a tile of the autoencoder
  /// Red, green and blue of a latent, by channel: a linear preview. Empty: none is known.
  std::vector<std::array<float, 3>> latent_rgb;
  /// Of the unet's config, for the checks of preflight.h; 0: not known.
  std::int64_t cross_attention_dim = 0;

  double scaling() const { return scaling_factor.value_or(0.18215); }
};

/// A diagonal normal distribution, both [n, latent_channels, h, w]; without `logvar` the encoder
/// has drawn already, and `mean` is its draw.
struct LatentParameters {
  Tensor mean;
  std::optional<Tensor> logvar;
};

/// All tensors are float32, NCHW, on the host. One thread at a time. Error(bad_input) where sizes
/// are not those that the engines take.
class DiffusionModels {
 public:
  virtual ~DiffusionModels() = default;

  virtual const DiffusionFacts& facts() const = 0;
  /// `ids`: int64 [n, text_length] -> [n, text_length, text_width], behind the final norm.
  /// `clip_skip`: layers left out at the end, as diffusers counts them (1: the last one);
  /// Error(usage) when the engine cannot.
  virtual Tensor encode_text(const Tensor& ids, std::int64_t clip_skip) = 0;
  /// `sample` [n, unet_channels, h, w], `states` [n, tokens, text_width], `time_cond` null or
  /// [n, time_cond_width] -> [n, latent_channels, h, w].
  virtual Tensor predict_noise(const Tensor& sample, double timestep, const Tensor& states,
                               const Tensor* time_cond) = 0;
  /// Of the autoencoder, its own latents [n, latent_channels, h, w] -> [n, 3, h * spatial_factor,
  /// w * spatial_factor], about -1 to 1.
  virtual Tensor decode(const Tensor& latents) = 0;
  /// [n, 3, height, width] in -1 to 1 -> its own latents.
  virtual LatentParameters encode(const Tensor& images) = 0;
  /// As decode, quick and rough, from the latents of the loop (scaled). Only with has_tiny_decoder.
  virtual Tensor decode_preview(const Tensor& latents) = 0;

  /// Working memory of a call of predict_noise or decode, beyond what it takes and gives; 0: not
  /// known.
  virtual std::size_t noise_bytes(const Shape&, const Shape& /*states*/) const { return 0; }
  virtual std::size_t decode_bytes(const Shape& /*latents*/) const { return 0; }
  /// Working memory that is held already, for the next call.
  virtual std::size_t held_bytes() const { return 0; }
};

}  // namespace tenon::pipelines
