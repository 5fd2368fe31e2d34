// Classifier-free guidance: away from what the negative prompt gives, towards the prompt.
#pragma once

#include <cstdint>
#include <span>

namespace tenon::pipelines {

/// text = uncond + scale * (text - uncond), in place of `text` (Ho and Salimans 2022). Sizes are
/// equal: [images, ...] each. `rescale` in [0, 1] > 0 mixes in the result with its deviation an
/// image brought back to that of `text` (Lin et al. 2023, section 3.4; deviations over count - 1),
/// against the overexposure of schedules that end in pure noise.
void guide(std::span<const float> uncond, std::span<float> text, std::int64_t images, double scale,
           double rescale);

/// The sinusoidal embedding of the guidance scale less 1 that distilled models take, `out` being
/// [images, width]: sines, then cosines, of 1000 * (scale - 1) over frequencies 1 to 1/10000; an
/// odd width ends in 0.
void embed_guidance(double scale, std::int64_t width, std::span<float> out);

}  // namespace tenon::pipelines
