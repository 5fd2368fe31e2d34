// The autoencoder over large pictures in tiles that overlap, so that memory does not grow with
// them.
#pragma once

#include <cstdint>
#include <functional>

#include "pipelines/text_to_image/diffusion_models.h"

namespace tenon::pipelines {

/// A quarter of each tile overlaps the next, and is blended linearly: the result is that of
/// diffusers' AutoencoderKL with enable_tiling (tile_overlap_factor 0.25).
struct Tiling {
  std::int64_t sample_size = 512;  ///< pixels a side of a tile; a multiple of the spatial factor
  std::int64_t latent_size = 64;   ///< the same in latents
};
Tiling tiling_of(const DiffusionFacts& facts);

/// True when a picture of latents [n, c, h, w] is larger than a tile.
bool needs_tiles(const Shape& latents, const Tiling& tiling);

/// Called after each tile with how many are done, of how many.
using OnTile = std::function<void(std::int64_t done, std::int64_t all)>;

/// `latents`: the autoencoder's own. Each image and tile is decoded alone.
Tensor tiled_decode(DiffusionModels& models, const Tensor& latents, const Tiling& tiling,
                    const OnTile& on_tile = {});
/// The parameters of the whole picture.
LatentParameters tiled_encode(DiffusionModels& models, const Tensor& images, const Tiling& tiling,
                              const OnTile& on_tile = {});

}  // namespace tenon::pipelines
