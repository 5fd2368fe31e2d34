// Pictures from and to files of any of the known formats.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "image/image.h"
#include "image/png.h"

namespace tenon::image {

enum class Format { png, jpeg, webp };

/// PNG, JPEG or WebP, told by their first bytes. Throws Error(bad_input).
Image decode_image(std::span<const std::byte> bytes);
/// The same from a file of at most 256 MB, named in the error.
Image read_image(const std::filesystem::path& path);

struct WriteOptions {
  int quality = 95;            ///< of JPEG and WebP: see there
  std::vector<PngText> texts;  ///< PNG only; the others leave them out
};

/// By the name's end: .png, .jpg, .jpeg or .webp in any case. Throws Error(usage).
Format format_of(const std::filesystem::path& path);
std::string encode_image(const Image& image, Format format, const WriteOptions& options = {});
/// The file appears whole or not at all.
void write_image(const std::filesystem::path& path, const Image& image,
                 const WriteOptions& options = {});

}  // namespace tenon::image
