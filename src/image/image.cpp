#include "image/image.h"

#include <algorithm>

#include "base/error.h"

namespace tenon::image {
namespace {

template <typename Convert>
Image converted(const Image& image, int channels, Convert convert) {
  Image out(image.width(), image.height(), channels);
  const std::uint8_t* from = image.pixels().data();
  std::uint8_t* to = out.pixels().data();
  const std::int64_t pixels = image.width() * image.height();
  for (std::int64_t i = 0; i < pixels; ++i, from += image.channels(), to += channels) {
    convert(from, to);
  }
  return out;
}

}  // namespace

Image::Image(std::int64_t width, std::int64_t height, int channels)
    : width_(width), height_(height), channels_(channels) {
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide ||
      width * height > kMaxPixels) {
    throw Error(ErrorCode::bad_input, fmt::format("a picture of {} x {} pixels", width, height))
        .hint(
            fmt::format("sides of 1 to {} and {} pixels in all can be had", kMaxSide, kMaxPixels));
  }
  if (channels != 1 && channels != 3 && channels != 4) {
    bad_input("a picture of {} channels; 1, 3 and 4 can be had", channels);
  }
  pixels_.resize(static_cast<std::size_t>(width * height * channels));
}

Image to_rgb(const Image& image) {
  if (image.channels() == 3) return image;
  const bool gray = image.channels() == 1;
  return converted(image, 3, [gray](const std::uint8_t* from, std::uint8_t* to) {
    for (int c = 0; c < 3; ++c) to[c] = from[gray ? 0 : c];
  });
}

Image to_gray(const Image& image) {
  if (image.channels() == 1) return image;
  return converted(image, 1, [](const std::uint8_t* from, std::uint8_t* to) {
    *to = static_cast<std::uint8_t>((from[0] * 19595 + from[1] * 38470 + from[2] * 7471 + 0x8000) >>
                                    16);
  });
}

Image oriented(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const bool turned = orientation >= 5;
  // Where the first row and the first column of the file belong: the two mirrors, then the turn.
  const bool mirror_x =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool mirror_y =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image out(turned ? image.height() : image.width(), turned ? image.width() : image.height(),
            image.channels());
  for (std::int64_t y = 0; y < out.height(); ++y) {
    for (std::int64_t x = 0; x < out.width(); ++x) {
      std::int64_t from_x = turned ? y : x;
      std::int64_t from_y = turned ? x : y;
      if (mirror_x) from_x = image.width() - 1 - from_x;
      if (mirror_y) from_y = image.height() - 1 - from_y;
      std::copy_n(image.row(from_y) + from_x * image.channels(), image.channels(),
                  out.row(y) + x * image.channels());
    }
  }
  return out;
}

}  // namespace tenon::image
