// PNG files: pixels and the texts beside them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "image/image.h"

namespace tenon::image {

/// A text chunk. `keyword`: 1 to 79 characters of Latin-1, as "parameters"; `text`: UTF-8.
struct PngText {
  std::string keyword;
  std::string text;
  bool operator==(const PngText&) const = default;
};

/// Grey, RGB and RGBA; palettes become RGB, transparent ones and grey with alpha RGBA, sixteen bits
/// their upper eight. `texts`, when given, receives tEXt, zTXt and iTXt chunks as UTF-8. Throws
/// Error(bad_input).
Image decode_png(std::span<const std::byte> bytes, std::vector<PngText>* texts = nullptr);

/// Lossless. A text that Latin-1 can hold is written as tEXt, another one as iTXt; line ends are
/// '\n'. Error(usage) for a keyword that PNG does not allow.
std::string encode_png(const Image& image, const std::vector<PngText>& texts = {});

}  // namespace tenon::image
