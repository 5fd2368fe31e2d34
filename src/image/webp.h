// WebP files.
#pragma once

#include <span>
#include <string>

#include "image/image.h"

namespace tenon::image {

/// RGB, or RGBA when the file has alpha. Throws Error(bad_input), also for animations.
Image decode_webp(std::span<const std::byte> bytes);

/// `quality`: 0 to 100 loses, more than 100 is lossless (alpha and all).
std::string encode_webp(const Image& image, int quality);

}  // namespace tenon::image
