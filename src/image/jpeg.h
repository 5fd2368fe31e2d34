// JPEG files.
#pragma once

#include <span>
#include <string>

#include "image/image.h"

namespace tenon::image {

/// Grey or RGB, turned upright as the EXIF orientation says. Throws Error(bad_input), also for
/// files that end early, four inks, and scans without end.
Image decode_jpeg(std::span<const std::byte> bytes);

/// `quality`: 1 to 100. Chroma at full resolution from 90 on, else halved. Alpha is left out.
std::string encode_jpeg(const Image& image, int quality);

}  // namespace tenon::image
