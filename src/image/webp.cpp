#include "image/webp.h"

#include <memory>

#include <webp/decode.h>
#include <webp/encode.h>

#include "base/error.h"

namespace tenon::image {

Image decode_webp(std::span<const std::byte> bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK) {
    bad_input("WebP: the header cannot be read");
  }
  if (features.has_animation != 0) {
    throw Error(ErrorCode::bad_input, "WebP: the file is an animation")
        .hint("save one of its pictures");
  }
  Image image(features.width, features.height, features.has_alpha != 0 ? 4 : 3);
  const auto decode = image.channels() == 4 ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (decode(data, bytes.size(), image.pixels().data(), image.pixels().size(),
             static_cast<int>(image.row_bytes())) == nullptr) {
    bad_input("WebP: the pixels of {} x {} cannot be read; the file is damaged or ends early",
              image.width(), image.height());
  }
  return image;
}

std::string encode_webp(const Image& image, int quality) {
  if (quality < 0) fail(ErrorCode::usage, "a WebP quality of {}; expected 0 or more", quality);
  const Image colour = image.channels() == 1 ? to_rgb(image) : image;
  const bool alpha = colour.channels() == 4;
  const auto width = static_cast<int>(colour.width());
  const auto height = static_cast<int>(colour.height());
  const auto stride = static_cast<int>(colour.row_bytes());
  const std::uint8_t* data = colour.pixels().data();
  std::uint8_t* out = nullptr;
  std::size_t size = 0;
  if (quality > 100) {
    size =
        (alpha ? WebPEncodeLosslessRGBA : WebPEncodeLosslessRGB)(data, width, height, stride, &out);
  } else {
    size = (alpha ? WebPEncodeRGBA : WebPEncodeRGB)(data, width, height, stride,
                                                    static_cast<float>(quality), &out);
  }
  const std::unique_ptr<std::uint8_t, decltype(&WebPFree)> owned(out, WebPFree);
  if (size == 0) {
    throw Error(ErrorCode::bad_input, fmt::format("WebP cannot hold {} x {} pixels", width, height))
        .hint("its sides end at 16383; write a PNG file");
  }
  return {reinterpret_cast<const char*>(out), size};
}

}  // namespace tenon::image
