// Small pictures of latents while the loop runs.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "image/image.h"
#include "pipelines/text_to_image/diffusion_models.h"

namespace tenon::pipelines {

/// One row a latent channel, red, green and blue in -1 to 1 for a value of 1; with one row more,
/// that is added (a bias).
using LatentRgb = std::vector<std::array<float, 3>>;

/// The usual factors for the latents of Stable Diffusion 1 and 2 (a public linear fit).
const LatentRgb& stable_diffusion_latent_rgb();

/// The linear map, with bias, that is nearest to the autoencoder in the least squares: from latents
/// of the loop [n, c, h, w] and what they decode to [n, 3, h * f, w * f], averaged over each
/// square. Error(bad_input) for sizes that do not fit together.
LatentRgb fit_latent_rgb(const Tensor& latents, const Tensor& images);

/// `latents` of the loop [n, c, h, w] to n pictures of w x h pixels. `factors`: c or c + 1 rows.
std::vector<image::Image> linear_preview(const Tensor& latents, const LatentRgb& factors);

/// By the tiny decoder when there is one, else linear when the factors are known (or the latents
/// are of four channels scaled by 0.18215, as Stable Diffusion's), else nothing.
std::optional<std::vector<image::Image>> preview(DiffusionModels& models, const Tensor& latents);

}  // namespace tenon::pipelines
