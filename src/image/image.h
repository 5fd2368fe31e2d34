// Image: a picture of eight bits a channel, and the conversions between its kinds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tenon::image {

/// What is read or made beyond these is refused, so that a small file cannot ask for all memory.
inline constexpr std::int64_t kMaxSide = 32768;
inline constexpr std::int64_t kMaxPixels = std::int64_t{1} << 26;

/// Rows from the top, pixels from the left, channels interleaved, nothing between rows. Channels:
/// 1 grey, 3 red green blue, 4 those and alpha (not premultiplied, 255 opaque). sRGB, as files hold
/// it. A plain value.
class Image {
 public:
  Image() = default;
  /// Black. Error(bad_input) for a side that is not in [1, kMaxSide], more than kMaxPixels, or
  /// another number of channels.
  Image(std::int64_t width, std::int64_t height, int channels);

  std::int64_t width() const noexcept { return width_; }
  std::int64_t height() const noexcept { return height_; }
  int channels() const noexcept { return channels_; }
  std::size_t row_bytes() const noexcept { return static_cast<std::size_t>(width_ * channels_); }
  std::uint8_t* row(std::int64_t y) noexcept {
    return pixels_.data() + static_cast<std::size_t>(y) * row_bytes();
  }
  const std::uint8_t* row(std::int64_t y) const noexcept {
    return pixels_.data() + static_cast<std::size_t>(y) * row_bytes();
  }
  std::vector<std::uint8_t>& pixels() noexcept { return pixels_; }
  const std::vector<std::uint8_t>& pixels() const noexcept { return pixels_; }
  bool operator==(const Image&) const = default;

 private:
  std::int64_t width_ = 0;
  std::int64_t height_ = 0;
  int channels_ = 0;
  std::vector<std::uint8_t> pixels_;
};

/// Grey is repeated; alpha is left out, whatever the colours under it, as Pillow does.
Image to_rgb(const Image& image);
/// Luma of ITU-R 601: (19595 R + 38470 G + 7471 B + 2^15) / 2^16, as Pillow does.
Image to_gray(const Image& image);

/// Turns and mirrors by the orientation that cameras write into EXIF: 1 to 8, anything else is 1.
Image oriented(Image image, int orientation);

}  // namespace tenon::image
