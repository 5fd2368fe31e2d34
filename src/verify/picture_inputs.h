// Seeded inputs for the networks of a picture model, of small sizes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "verify/tensor_comparison.h"

namespace tenon::verify {

/// What configurations say of sizes that an engine may leave open. The defaults are those of
/// Stable Diffusion 1.
struct PictureSizes {
  std::int64_t latent_channels = 4;
  std::int64_t unet_channels = 4;
  std::int64_t text_tokens = 77;
  std::int64_t text_width = 768;
  std::int64_t vocabulary = 0;      ///< ids that the text encoder knows; 0: told by its engine
  std::int64_t factor = 8;          ///< pixels a side of a latent
  std::int64_t multiple = 8;        ///< of the sides of latents, that halvings in the unet ask for
  std::int64_t guidance_width = 0;  ///< of the guidance embedding of distilled models
};

/// From unet/config.json, vae/config.json and text_encoder/config.json among the files; each may
/// be missing.
PictureSizes picture_sizes(const std::map<std::string, std::string, std::less<>>& files);

/// Inputs by the engine's own names and types: ids from its vocabulary, masks with padding, noise
/// of deviation 1, timesteps over their range (one run each). `side` of latents and `batch` hold
/// where the engine leaves them open. The same numbers whenever names and sizes are the same.
std::vector<TensorRun> seeded_runs(const engine::Engine& engine, const PictureSizes& sizes,
                                   std::int64_t side, std::int64_t batch,
                                   std::span<const std::int64_t> timesteps);

}  // namespace tenon::verify
