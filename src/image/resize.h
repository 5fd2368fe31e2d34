// Pictures of another size.
#pragma once

#include "image/image.h"

namespace tenon::image {

/// Lanczos of three lobes (widened when shrinking), with the arithmetic of Pillow's Image.resize:
/// coefficients of 22 bits, across first, then down, rounded to eight bits between. Colours are
/// weighted by alpha. Bit by bit what diffusers' VaeImageProcessor makes of its input pictures.
Image resize_lanczos(const Image& image, std::int64_t width, std::int64_t height);

}  // namespace tenon::image
