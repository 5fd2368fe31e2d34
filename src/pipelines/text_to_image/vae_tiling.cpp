#include "pipelines/text_to_image/vae_tiling.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "pipelines/text_to_image/latents.h"

namespace tenon::pipelines {
namespace {

constexpr double kOverlap = 0.25;

// [1, c, height, width] of `from` at (y, x), cut off at its ends.
Tensor cut(const Tensor& from, std::int64_t y, std::int64_t x, std::int64_t side) {
  const Shape& all = from.shape();
  const std::int64_t height = std::min(side, all[2] - y);
  const std::int64_t width = std::min(side, all[3] - x);
  Tensor out(DType::f32, {all[0], all[1], height, width});
  const float* source = from.as<float>().data();
  float* to = out.as<float>().data();
  for (std::int64_t plane = 0; plane < all[0] * all[1]; ++plane) {
    for (std::int64_t row = 0; row < height; ++row) {
      to = std::copy_n(source + (plane * all[2] + y + row) * all[3] + x, width, to);
    }
  }
  return out;
}

// Mixes the last `extent` rows (or columns) of `before` into the first ones of `tile`.
void blend(const Tensor& before, Tensor& tile, std::int64_t extent, bool rows) {
  const Shape& a = before.shape();
  const Shape& b = tile.shape();
  const std::size_t axis = rows ? 2 : 3;
  extent = std::min({extent, a[axis], b[axis]});
  const float* from = before.as<float>().data();
  float* to = tile.as<float>().data();
  const std::int64_t height = rows ? extent : std::min(a[2], b[2]);
  const std::int64_t width = rows ? std::min(a[3], b[3]) : extent;
  for (std::int64_t plane = 0; plane < b[0] * b[1]; ++plane) {
    for (std::int64_t y = 0; y < height; ++y) {
      const std::int64_t from_y = rows ? a[2] - extent + y : y;
      for (std::int64_t x = 0; x < width; ++x) {
        const std::int64_t from_x = rows ? x : a[3] - extent + x;
        const auto share =
            static_cast<float>(static_cast<double>(rows ? y : x) / static_cast<double>(extent));
        const auto rest =
            static_cast<float>(1 - static_cast<double>(rows ? y : x) / static_cast<double>(extent));
        float& value = to[(plane * b[2] + y) * b[3] + x];
        value = from[(plane * a[2] + from_y) * a[3] + from_x] * rest + value * share;
      }
    }
  }
}

void paste(const Tensor& tile, std::int64_t limit, Tensor& all, std::int64_t y, std::int64_t x) {
  const Shape& t = tile.shape();
  const Shape& a = all.shape();
  const std::int64_t height = std::min({limit, t[2], a[2] - y});
  const std::int64_t width = std::min({limit, t[3], a[3] - x});
  const float* from = tile.as<float>().data();
  float* to = all.as<float>().data();
  for (std::int64_t plane = 0; plane < t[0] * t[1]; ++plane) {
    for (std::int64_t row = 0; row < height; ++row) {
      std::copy_n(from + (plane * t[2] + row) * t[3], width,
                  to + (plane * a[2] + y + row) * a[3] + x);
    }
  }
}

struct Grid {
  std::int64_t tile;      // side of a tile of the input
  std::int64_t stride;    // from one to the next
  std::int64_t blending;  // in the output
  std::int64_t kept;      // of a tile of the output
};

Grid grid_of(std::int64_t from, std::int64_t to) {
  const auto blending = static_cast<std::int64_t>(static_cast<double>(to) * kOverlap);
  return {from, static_cast<std::int64_t>(static_cast<double>(from) * (1 - kOverlap)), blending,
          to - blending};
}

using Transform = std::function<Tensor(const Tensor&)>;

// One image [1, c, h, w] through `transform`, tile by tile, row by row; a row of tiles is kept for
// the next one to blend with. The output has the sides given, and the channels of the tiles.
Tensor through_tiles(const Tensor& image, const Grid& grid, std::int64_t height, std::int64_t width,
                     const Transform& transform) {
  Tensor out;
  std::vector<Tensor> above;
  std::int64_t out_y = 0;
  for (std::int64_t y = 0; y < image.shape()[2]; y += grid.stride) {
    std::vector<Tensor> row;
    std::int64_t out_x = 0;
    for (std::int64_t x = 0; x < image.shape()[3]; x += grid.stride) {
      Tensor tile = transform(cut(image, y, x, grid.tile));
      if (out.shape().empty()) out = Tensor(DType::f32, {1, tile.shape()[1], height, width});
      if (!above.empty()) blend(above[row.size()], tile, grid.blending, true);
      if (!row.empty()) blend(row.back(), tile, grid.blending, false);
      paste(tile, grid.kept, out, out_y, out_x);
      out_x += std::min(grid.kept, tile.shape()[3]);
      row.push_back(std::move(tile));
    }
    out_y += std::min(grid.kept, row.front().shape()[2]);
    above = std::move(row);
  }
  return out;
}

std::int64_t tiles(const Shape& shape, std::int64_t stride) {
  const auto along = [&](std::int64_t side) { return (side + stride - 1) / stride; };
  return shape[0] * along(shape[2]) * along(shape[3]);
}

// All images, one after the other; counts tiles and heeds Ctrl-C. `to` is the side in the output of
// `from` in the input.
Tensor through_images(const Tensor& images, std::int64_t from, std::int64_t to,
                      const OnTile& on_tile, const Transform& transform) {
  const Grid grid = grid_of(from, to);
  const Shape& shape = images.shape();
  const std::int64_t all = tiles(shape, grid.stride);
  std::int64_t done = 0;
  const auto counted = [&](const Tensor& tile) {
    check_interrupt();
    Tensor result = transform(tile);
    const Shape& a = tile.shape();
    const Shape& b = result.shape();
    if (b.size() != 4 || b[0] != 1 || b[2] * from != a[2] * to || b[3] * from != a[3] * to) {
      bad_input("the autoencoder made {} of a tile of {}", to_string(b), to_string(a));
    }
    if (on_tile) on_tile(++done, all);
    return result;
  };
  Tensor out;
  for (std::int64_t i = 0; i < shape[0]; ++i) {
    Tensor one = through_tiles(batch_slice(images, i, 1), grid, shape[2] * to / from,
                               shape[3] * to / from, counted);
    out = i == 0 ? std::move(one) : join_batches(out, one);
  }
  return out;
}

}  // namespace

Tiling tiling_of(const DiffusionFacts& facts) {
  // A quarter of a tile must be whole in latents as in pixels, or the tiles would drift apart.
  const std::int64_t latent =
      std::max<std::int64_t>(facts.tile_size / facts.spatial_factor / 4 * 4, 4);
  return {latent * facts.spatial_factor, latent};
}

bool needs_tiles(const Shape& latents, const Tiling& tiling) {
  return latents[2] > tiling.latent_size || latents[3] > tiling.latent_size;
}

Tensor tiled_decode(DiffusionModels& models, const Tensor& latents, const Tiling& tiling,
                    const OnTile& on_tile) {
  return through_images(latents, tiling.latent_size, tiling.sample_size, on_tile,
                        [&](const Tensor& tile) { return models.decode(tile); });
}

LatentParameters tiled_encode(DiffusionModels& models, const Tensor& images, const Tiling& tiling,
                              const OnTile& on_tile) {
  // Mean and variance are blended alike, so both pass as the channels of one tensor.
  bool drawn = false;
  const Tensor all = through_images(
      images, tiling.sample_size, tiling.latent_size, on_tile, [&](const Tensor& tile) {
        LatentParameters parameters = models.encode(tile);
        drawn = !parameters.logvar;
        return drawn ? parameters.mean : join_channels(parameters.mean, *parameters.logvar);
      });
  return drawn ? LatentParameters{all, std::nullopt} : split_parameters(all);
}

}  // namespace tenon::pipelines
