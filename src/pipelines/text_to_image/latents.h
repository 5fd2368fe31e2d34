// Arithmetic on latents: statistics, draws of the encoder's distribution, masks, batches.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pipelines/text_to_image/diffusion_models.h"
#include "pipelines/text_to_image/torch_random.h"

namespace tenon::pipelines {

struct LatentStatistics {
  double timestep = 0;
  double mean = 0;  ///< of the finite values, as are the next three
  double deviation = 0;
  double low = 0;
  double high = 0;
  std::int64_t not_finite = 0;
};
LatentStatistics latent_statistics(std::span<const float> values, double timestep);

/// Error(check_failed) when a value is NaN or infinite: `what`, how many there are, where the first
/// is, the range of the others, and what to do.
void require_finite(std::span<const float> values, const std::string& what);

/// [n, 2 c, h, w], means and then variances' logarithms, as the two.
LatentParameters split_parameters(const Tensor& both);

/// Latents of the loop: (draw - shift_factor) * scaling_factor. `noise`: standard normal, of the
/// size of `parameters.mean`; not looked at when the encoder has drawn already.
/// draw = mean + exp(clamp(logvar, -30, 20) / 2) * noise.
Tensor draw_latents(const LatentParameters& parameters, std::span<const float> noise,
                    const DiffusionFacts& facts);
/// The autoencoder's own latents: latents / scaling_factor + shift_factor.
Tensor unscaled(const Tensor& latents, const DiffusionFacts& facts);

/// [1, 1, height, width] to [1, 1, height / factor, width / factor]: the upper left of each square.
Tensor shrink_mask(const Tensor& mask, std::int64_t factor);

/// The tensor `times` times along its first axis.
Tensor repeated(const Tensor& tensor, std::int64_t times);
/// [n, a, ...], [n, b, ...] -> [n, a + b, ...]
Tensor join_channels(const Tensor& a, const Tensor& b);
/// [a, ...], [b, ...] -> [a + b, ...]
Tensor join_batches(const Tensor& a, const Tensor& b);
/// Rows [first, first + count) of the first axis.
Tensor batch_slice(const Tensor& tensor, std::int64_t first, std::int64_t count);

}  // namespace tenon::pipelines
